"""Polling with a deadline, where no signal can be waited on."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Final, TypeVar

Answer = TypeVar("Answer")


_LEAST: Final = 60.0
"""Seconds that every condition gets: a busy machine is slow, and one that comes true costs nothing more."""


def eventually(condition: Callable[[], Answer], timeout: float = _LEAST, *, every: float = 0.02) -> Answer:
    """Call `condition` until it answers something true and return that; fail after a minute, or `timeout` seconds."""
    timeout = max(timeout, _LEAST)
    deadline = monotonic() + timeout
    pause = Event()
    while not (answer := condition()):
        if monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {condition}; last answer {answer!r}")
        pause.wait(every)
    return answer

"""Polling with a deadline, where no signal can be waited on."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(condition: Callable[[], Answer], timeout: float = 10.0, *, every: float = 0.02) -> Answer:
    """Call `condition` until it answers something true and return that; fail after `timeout` seconds."""
    deadline = monotonic() + timeout
    pause = Event()
    while not (answer := condition()):
        if monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {condition}; last answer {answer!r}")
        pause.wait(every)
    return answer

"""The terminal itself: lent to the user's own programs, and its clipboard."""

import base64
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from textual.app import App

_SCREEN_TAKES: Final = 700
"""Bytes of a sequence that GNU screen passes on at a time."""


@contextmanager
def lent(app: App[Any]) -> Iterator[None]:
    """Another program has the terminal, and Ctrl-C. SuspendNotSupported where it cannot be lent, as in a browser."""
    failed: Exception | None = None
    with app.suspend(), _deaf():
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised below: Textual takes the terminal back where nothing is
            failed = error
    if failed is not None:
        raise failed


@contextmanager
def _deaf() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def passed_through(text: str, environment: Mapping[str, str]) -> str:
    """OSC 52 for the terminal around tmux or screen; empty outside of them.

    tmux passes it on with `allow-passthrough on`, and takes the plain sequence with `set-clipboard on`.
    """
    sequence = f"\x1b]52;c;{base64.b64encode(text.encode(errors='replace')).decode()}\a"
    if environment.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environment.get("STY"):
        starts = range(0, len(sequence), _SCREEN_TAKES)
        return "".join(f"\x1bP{sequence[start : start + _SCREEN_TAKES]}\x1b\\" for start in starts)
    return ""

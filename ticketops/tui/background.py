"""Work for a screen in a daemon thread: Textual's own workers share six threads, and quitting waits for them."""

import threading
from collections.abc import Callable
from typing import TypeVar

from textual.screen import Screen

from ticketops.errors import TicketOpsError
from ticketops.tui.looks import safe

T = TypeVar("T")


def once(screen: "Screen[None]", work: Callable[[], T], done: Callable[[T], None]) -> None:
    """Do the work, then `done` in the screen's own thread, if the screen is still there; an error is told."""
    app = screen.app

    def run() -> None:
        try:
            result = work()
        except TicketOpsError as error:
            app.call_later(_tell, screen, f"{error.what}: {error.why}" if error.why else error.what)
        except Exception as error:  # noqa: BLE001 - the thread's outermost guard: the screen says so
            app.call_later(_tell, screen, f"{type(error).__name__}: {error}")
        else:
            app.call_later(_hand_over, screen, done, result)

    threading.Thread(target=run, name="screen-work", daemon=True).start()


def _hand_over(screen: "Screen[None]", done: Callable[[T], None], result: T) -> None:
    if screen.is_attached:
        done(result)


def _tell(screen: "Screen[None]", text: str) -> None:
    if screen.is_attached:
        screen.notify(safe(text), severity="error", markup=False)

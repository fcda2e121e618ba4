"""Work for a screen in a daemon thread: Textual's own workers share six threads, and quitting waits for them."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from textual.screen import Screen

from ticketops.errors import TicketOpsError
from ticketops.tui.looks import safe

T = TypeVar("T")


def once(
    screen: "Screen[Any]",
    work: Callable[[], T],
    done: Callable[[T], None],
    failed: Callable[[str], None],
    late: Callable[[T], None] = lambda _: None,
) -> None:
    """Do the work, then `done` in the screen's own thread, if the screen is still there; an error is told.

    `failed` gets the error's text, safe for a terminal; `late` gets a result that no screen waits for any more.
    """
    app = screen.app

    def run() -> None:
        try:
            result = work()
        except TicketOpsError as error:
            app.call_later(_tell, screen, failed, f"{error.what}: {error.why}" if error.why else error.what)
        except Exception as error:  # noqa: BLE001 - the thread's outermost guard: the screen says so
            app.call_later(_tell, screen, failed, f"{type(error).__name__}: {error}")
        else:
            app.call_later(_hand_over, screen, done, late, result)

    threading.Thread(target=run, name="screen-work", daemon=True).start()


def _hand_over(screen: "Screen[Any]", done: Callable[[T], None], late: Callable[[T], None], result: T) -> None:
    (done if there(screen) else late)(result)


def _tell(screen: "Screen[Any]", failed: Callable[[str], None], text: str) -> None:
    if there(screen):
        hide: Callable[[str], str] = getattr(screen.app, "hide", str)
        said = safe(hide(text)[:500])
        screen.notify(said, severity="error", markup=False)
        failed(said)


def there(screen: "Screen[Any]") -> bool:
    """True while somebody can come back to it: a screen that was left says that it is mounted for ever.

    False as well where it is not whole yet, and where the app ends: widgets may be gone then.
    """
    app = screen.app
    return app.is_running and screen.is_mounted and screen in app.screen_stack

"""What leaves the dashboard: to the clipboard, to the user's pager, to a file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from textual.app import SuspendNotSupported

from ticketops.errors import TicketOpsError
from ticketops.services.overview.status import Status
from ticketops.services.pager import paged
from ticketops.tui.background import once
from ticketops.tui.looks import safe
from ticketops.tui.terminal import lent

if TYPE_CHECKING:
    from ticketops.tui.app import Dashboard

Save = Callable[[Status, Sequence[str]], Path]
_MUCH: Final = 74_000
"""Bytes; what terminals take by OSC 52 is 100 kB in base64, or less."""


class Outlet:
    """The ways out of one dashboard."""

    def __init__(self, app: "Dashboard", save: Save | None) -> None:
        self._app = app
        self._save = save

    def copy(self, text: str, told: str) -> None:
        """To the clipboard of the terminal; `told` says what, and may be foreign."""
        if not text:
            self._tell("there is nothing to copy")
            return
        self._app.copy_to_clipboard(text)
        size = len(text.encode(errors="replace"))
        many = f"; many terminals do not take {size // 1000} kB, | shows it in $PAGER" if size > _MUCH else ""
        self._app.notify(safe(told) + many, title="copied", timeout=4, markup=False)

    def page(self) -> None:
        """The row or the page in the user's pager; what is not read yet is read in a thread."""
        screen = self._app.screen
        once(screen, getattr(screen, "paging", lambda: str)(), self._page, lambda _: None)

    def _page(self, text: str) -> None:
        if not text:
            self._tell("there is nothing to show")
            return
        try:
            with lent(self._app):
                paged(text if text.endswith("\n") else f"{text}\n")
        except SuspendNotSupported:
            self._tell("a browser's page cannot be lent to a pager; y copies the same", "warning")
        except TicketOpsError as error:
            self._tell("; ".join(filter(None, (error.what, error.why, error.hint))), "error")

    def save(self, status: Status | None) -> None:
        """What is known and the screen, to a file, in a thread."""
        save = self._save
        if save is None or status is None:
            self._tell("there is nothing to save yet")
            return
        lines = self._lines()
        home = self._app.screen_stack[1]
        once(home, lambda: save(status, lines), lambda path: self._tell(f"saved: {path}"), lambda _: None)

    def _lines(self) -> list[str]:
        strips = self._app.screen._compositor.render_strips()  # noqa: SLF001 - Textual gives the screen as SVG alone
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    def _tell(self, text: str, severity: str = "information") -> None:
        self._app.notify(safe(text), severity=severity, timeout=10, markup=False)  # type: ignore[arg-type]  # one of Textual's words

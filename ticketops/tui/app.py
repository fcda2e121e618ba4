"""The dashboard: reads the snapshot, asks services, changes nothing."""

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.screen import Screen

from ticketops.domain.overview.check import Check
from ticketops.domain.overview.snapshot import Snapshot
from ticketops.services.overview.status import Status
from ticketops.tui.actions import EVERYWHERE, bindings
from ticketops.tui.feed import Feed
from ticketops.tui.looks import safe
from ticketops.tui.screens.goto import GotoScreen
from ticketops.tui.screens.group import GroupScreen
from ticketops.tui.screens.help import HelpScreen
from ticketops.tui.screens.home import HomeScreen
from ticketops.tui.screens.letters import GroupsScreen
from ticketops.tui.sources import Letters

MakeFeed = Callable[[Callable[[Status], None], Callable[[BaseException], None]], Feed]


class Dashboard(App[int]):
    """One look at everything; time can be stopped, and what hangs never stops it."""

    CSS_PATH = "dashboard.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012 - declared without ClassVar by Textual
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012 - declared without ClassVar by Textual
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*EVERYWHERE)]

    def __init__(
        self, make_feed: MakeFeed, letters: Letters, *, context: str, read_only: bool, utf8: bool = True
    ) -> None:
        """`make_feed` makes the source of snapshots, told whom to call."""
        super().__init__()
        self.context = context
        self.read_only = read_only
        self.snapshot: Snapshot | None = None
        self.frozen_at: datetime | None = None
        self.utf8 = utf8
        self._letters = letters
        self._latest: Status | None = None
        self._feed = make_feed(self._told, self._failed)

    def on_mount(self) -> None:
        """Paint first, then ask."""
        self.push_screen(HomeScreen())
        self.call_after_refresh(self._feed.start)

    def _told(self, status: Status) -> None:
        self.call_later(self._arrived, status)

    def _failed(self, error: BaseException) -> None:
        self.call_later(self.notify, safe(f"{type(error).__name__}: {error}"), severity="error", markup=False)

    def _arrived(self, status: Status) -> None:
        self._latest = status
        if self.frozen_at is None:
            self._show(status)

    def _show(self, status: Status) -> None:
        self.snapshot = status.snapshot
        for screen in self.screen_stack:
            if hasattr(screen, "arrived"):
                screen.arrived(status)
        for head in self.screen.query("Head"):
            head.refresh()

    def drill(self, line: Check) -> None:
        """Look closer at what a line is about."""
        match line.area:
            case "lag":
                self.open(GroupScreen(line.subject, utf8=self.utf8))
            case "dlq":
                self.open(GroupsScreen(line.subject, self._letters))
            case _:
                self.notify(safe(line.next or "there is nothing below this line"), title="next", markup=False)

    def open(self, screen: "Screen[None]") -> None:
        """Show a screen, with what is known already."""
        self.push_screen(screen)
        status = self._latest
        if status is not None and hasattr(screen, "arrived"):
            self.call_after_refresh(screen.arrived, status)

    def action_goto(self) -> None:
        """Ask where to."""
        self.push_screen(GotoScreen(), self._go)

    def _go(self, words: list[str] | None) -> None:
        match words:
            case None | []:
                return
            case ["q" | "quit"]:
                self.action_leave()
            case ["home" | "status"]:
                while len(self.screen_stack) > 2:  # noqa: PLR2004 - Textual's own and home
                    self.pop_screen()
            case ["dlq", queue]:
                self.open(GroupsScreen(queue, self._letters))
            case ["lag", group]:
                self.open(GroupScreen(group, utf8=self.utf8))
            case _:
                self.notify(safe(f"unknown: {' '.join(words)}; home, dlq QUEUE, lag GROUP, quit"), markup=False)

    def action_freeze(self) -> None:
        """Stop time, or let it go on."""
        if self.frozen_at is not None:
            self.frozen_at = None
            if self._latest is not None:
                self._show(self._latest)
        elif self.snapshot is not None:
            self.frozen_at = self.snapshot.at
        for head in self.screen.query("Head"):
            head.refresh()

    def action_now(self) -> None:
        """Show what is known now."""
        if self._latest is not None and self.frozen_at is None:
            self._show(self._latest)

    def action_copy_row(self) -> None:
        """To the terminal's clipboard, by OSC 52."""
        text = getattr(self.screen, "row_text", str)()
        self.copy_to_clipboard(text)
        self.notify("row copied", timeout=2, markup=False)

    def action_copy_command(self) -> None:
        """The command that shows the same."""
        command = getattr(self.screen, "command", str)()
        self.copy_to_clipboard(command)
        self.notify(safe(command), title="copied", timeout=4, markup=False)

    def action_help(self) -> None:
        """What keys do."""
        self.push_screen(HelpScreen())

    def action_leave(self) -> None:
        """Leave at once."""
        self._feed.stop()
        self.exit(0)

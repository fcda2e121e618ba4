"""The dashboard: reads the snapshot, asks services; changes what was unlocked, planned and agreed to."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from textual.app import App
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.screen import Screen

from ticketops.domain.overview.check import Check
from ticketops.domain.overview.snapshot import Snapshot
from ticketops.services.overview.status import Status
from ticketops.tui.actions import EVERYWHERE, bindings
from ticketops.tui.background import once
from ticketops.tui.changes import Changes
from ticketops.tui.feed import Feed
from ticketops.tui.looks import safe
from ticketops.tui.places import place_of
from ticketops.tui.plain import Ascii
from ticketops.tui.proposals import Step
from ticketops.tui.screens.goto import GotoScreen
from ticketops.tui.screens.help import HelpScreen
from ticketops.tui.screens.home import HomeScreen
from ticketops.tui.sources import Sources

DARK: Final = "textual-dark"
LIGHT: Final = "textual-light"
_ASCII: Final = Ascii()
MakeFeed = Callable[[Callable[[Status], None], Callable[[BaseException], None]], Feed]


class Dashboard(App[int]):
    """One look at everything; time can be stopped, and what hangs never stops it."""

    CSS_PATH = "dashboard.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012 - declared without ClassVar by Textual
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012 - declared without ClassVar by Textual
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*EVERYWHERE)]

    def __init__(
        self,
        make_feed: MakeFeed,
        sources: Sources,
        *,
        context: str,
        read_only: bool,
        utf8: bool = True,
        theme: str = "dark",
    ) -> None:
        """`make_feed` makes the source of snapshots, told whom to call."""
        super().__init__()
        self.theme = LIGHT if theme == "light" else DARK
        self.context = context
        self.read_only = read_only
        self.snapshot: Snapshot | None = None
        self.frozen_at: datetime | None = None
        self.utf8 = utf8
        self._sources = sources
        self._steps = 0
        """Wanted, while others are under way."""
        self._stepping = False
        self._latest: Status | None = None
        self.shown: Status | None = None
        self.changes = Changes(self)
        self.left_over: list[str] = []
        """Commands that go on with what leaving cut off."""
        self._feed = make_feed(self._told, self._failed)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """See App."""
        filters = super().get_line_filters()
        return filters if self.utf8 else [*filters, _ASCII]

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
        self.snapshot, self.shown = status.snapshot, status
        for screen in self.screen_stack:
            if screen.is_mounted and hasattr(screen, "arrived"):
                screen.arrived(status)
        for head in self.screen.query("Head"):
            head.refresh()

    def drill(self, line: Check) -> None:
        """Look closer at what a line is about."""
        words = _below(line)
        if words and self._go(words):
            return
        self.notify(safe(line.next or "there is nothing below this line"), title="next", markup=False)

    def open(self, screen: "Screen[None]") -> None:
        """Show a screen; it takes what is known already from `shown`."""
        self.push_screen(screen)

    def action_goto(self) -> None:
        """Ask where to."""
        self.push_screen(GotoScreen(), self._went)

    def _went(self, words: list[str] | None) -> None:
        if words and not self._go(words):
            said = safe(" ".join(words))
            self.notify(f"unknown: {said}; ? shows where one can go", severity="warning", markup=False)

    def _go(self, words: Sequence[str]) -> bool:
        """Go where words say; False where that is nowhere."""
        if words[0] in {"q", "quit"}:
            self.action_leave()
        elif words[0] in {"home", "status"}:
            while len(self.screen_stack) > 2:  # noqa: PLR2004 - Textual's own and home
                self.pop_screen()
        elif found := place_of(words):
            place, arguments = found
            self.open(place.make(self._sources, arguments))
        else:
            return False
        return True

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

    def action_step(self, steps: int) -> None:
        """Freeze, and show what was known so many snapshots earlier or later."""
        if self.snapshot is None or (steps > 0 and self.frozen_at is None):
            return
        self._steps += steps
        if not self._stepping:
            self._step(self.snapshot.at)

    def _step(self, moment: datetime) -> None:
        steps, self._steps, self._stepping = self._steps, 0, True
        home = self.screen_stack[1]
        once(home, lambda: self._feed.around(moment, steps), self._stepped, self._not_stepped)

    def _stepped(self, status: Status | None) -> None:
        self._stepping = False
        if status is None or (self.snapshot is not None and status.snapshot.at == self.snapshot.at):
            self.notify("nothing more is known that way", timeout=2, markup=False)
            return
        self.frozen_at = status.snapshot.at
        self._show(status)
        if self._steps:
            self._step(status.snapshot.at)

    def _not_stepped(self, _: str) -> None:
        self._stepping = False

    def action_unlock(self) -> None:
        """Let changes be asked for, for five minutes; a read-only context refuses."""
        if self.read_only:
            said = f"the context {safe(self.context)} is read-only"
            self.notify(said, severity="warning", markup=False)
            return
        self.changes.turn()

    def propose(self, screen: "Screen[Any]", step: Step, keys: tuple[str, ...]) -> None:
        """Make the first step towards a change of these rows."""
        self.changes.propose(screen, step, keys)

    def action_lights(self) -> None:
        """Dark, or light."""
        self.theme = LIGHT if self.theme == DARK else DARK

    def action_now(self) -> None:
        """Show what is known now."""
        if self._latest is not None and self.frozen_at is None:
            self._show(self._latest)
        getattr(self.screen, "reload", bool)()

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
        self.left_over = self.changes.leave()
        self.exit(0)


def _below(line: Check) -> Sequence[str]:
    """Where one looks closer at a line, in the words of `:`."""
    match line.area:
        case "lag" | "dlq":
            return (line.area, line.subject)
        case "outbox" | "relay":
            return (line.area,)
        case "state":
            machine = line.subject.rpartition(" ")[0]
            return ("state", machine) if machine else ("state",)
        case "compensations":
            return ("dlq",)
        case _:
            return ()

"""The dashboard: reads the snapshot, asks services; changes what was unlocked, planned and agreed to."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import App
from textual.binding import BindingType
from textual.events import Event, Key, Paste
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import ModalScreen, Screen

from ticketops.domain.overview.check import Check
from ticketops.domain.overview.snapshot import Snapshot
from ticketops.services.overview.status import Status
from ticketops.tui.actions import EVERYWHERE, bindings
from ticketops.tui.background import once
from ticketops.tui.changes import Changes
from ticketops.tui.clock import Clock
from ticketops.tui.feed import Feed
from ticketops.tui.guide import Guide
from ticketops.tui.lock import Lock
from ticketops.tui.looks import safe, with_tail
from ticketops.tui.outlet import Outlet, Save
from ticketops.tui.plain import Ascii
from ticketops.tui.proposals import Step
from ticketops.tui.screens.home import HomeScreen
from ticketops.tui.terminal import passed_through
from ticketops.tui.typeahead import Typeahead

if TYPE_CHECKING:
    from ticketops.tui.sources import Sources

DARK: Final = "textual-dark"
LIGHT: Final = "textual-light"
_ASCII: Final = Ascii()
_OF_VIEW: Final = frozenset({"now", "copy_row", "copy_command", "page"})
"""Actions that ask the view."""
_CAPTION: Final = 0.5
"""Seconds between two looks at what the caption says."""
MakeFeed = Callable[[Callable[[Status], None], Callable[[BaseException], None]], Feed]


class Dashboard(App[int]):
    """One look at everything; time can be stopped, and what hangs never stops it."""

    CSS_PATH = "dashboard.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012 - declared without ClassVar by Textual
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012 - declared without ClassVar by Textual
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*EVERYWHERE)]

    def __init__(  # noqa: PLR0913 - one for each thing that the command line knows
        self,
        make_feed: MakeFeed,
        sources: "Callable[[], Sources]",
        *,
        context: str,
        read_only: bool,
        tail: Sequence[str] = (),
        hide: Callable[[str], str] = str,
        utf8: bool = True,
        theme: str = "dark",
        keymap: Mapping[str, str] | None = None,
        caption: Callable[[], str] | None = None,
        save: Save | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`make_feed` makes the source of snapshots, told whom to call; `keymap` has the user's own keys.

        `sources` is asked once, when it is needed.
        `tail`: what commands need at their end to mean the same context.
        `hide` takes secrets out of errors.
        `caption` says what stands above the line of keys on every screen, and is asked often; None: nothing does.
        `save` writes a snapshot with the lines of the screen to a file; None: they cannot be saved.
        """
        super().__init__()
        self.caption = caption
        self._captioned = ""
        self.theme = LIGHT if theme == "light" else DARK
        self.context = context
        self.tail = tail
        self.hide = hide
        self.clock = clock or Clock()
        self.read_only = read_only
        self.snapshot: Snapshot | None = None
        self.frozen_at: datetime | None = None
        self.utf8 = utf8
        self.keymap = keymap or {}
        self.set_keymap(dict(self.keymap))
        self.guide = Guide(self, sources)
        self.outlet = Outlet(self, save)
        self._steps = 0
        """Wanted, while others are under way."""
        self._stepping = False
        self._latest: Status | None = None
        self.shown: Status | None = None
        self.changes = Changes(self, Lock(self.clock.elapsed))
        self._failure = ""
        """What was told last of it."""
        self.trouble: BaseException | None = None
        """What made it leave: there never was a snapshot, or it has a fault."""
        self.left_over: list[str] = []
        """Commands that go on with what leaving cut off."""
        self._feed = make_feed(self._told, self._failed)
        self._typeahead = Typeahead(self, super().on_event)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """See App."""
        filters = super().get_line_filters()
        return filters if self.utf8 else [*filters, _ASCII]

    async def on_event(self, event: Event) -> None:
        """See App: what is typed waits for what was typed before it."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self._typeahead.typed(event)
        else:
            await super().on_event(event)

    def _fatal_error(self) -> None:
        """See App, which would print a traceback with the values of every variable: whoever runs it tells the error."""
        self.bell()
        self.trouble = self.trouble or self._exception
        self._close_messages_no_wait()

    def on_mount(self) -> None:
        """Paint first, then ask."""
        self.screen_change_signal.subscribe(self, lambda _: self.call_later(self.guide.seen))
        home = HomeScreen()
        self.push_screen(home)
        home.call_after_refresh(self._feed.start)
        if self.caption is not None:
            self.set_interval(_CAPTION, self._look_at_caption)

    def _look_at_caption(self) -> None:
        said = self.caption() if self.caption is not None else ""
        for screen in self.screen_stack:
            for foot in screen.query("Foot"):
                if said != self._captioned:
                    foot.refresh(layout=True)
        self._captioned = said

    def _told(self, status: Status) -> None:
        self.call_later(self._arrived, status)

    def _failed(self, error: BaseException) -> None:
        self.call_later(self._without, error)

    def _without(self, error: BaseException) -> None:
        """What is shown stays, and grows old; without anything to show there is no use in staying."""
        if self.snapshot is None:
            self.trouble = error
            self.exit(1)
            return
        text = safe(f"{type(error).__name__}: {error}")
        if text != self._failure:
            self._failure = text
            self.notify(text, severity="error", timeout=60, markup=False)
        self._redraw()

    def _arrived(self, status: Status) -> None:
        if status.trouble and (self._latest is None or self._latest.trouble != status.trouble):
            text = safe(f"bars, trends and steps back are of this run alone: {status.trouble}")
            self.notify(text, severity="warning", timeout=20, markup=False)
        self._latest = status
        if self.frozen_at is None:
            self._show(status)

    def _show(self, status: Status) -> None:
        self.snapshot, self.shown = status.snapshot, status
        for screen in self.screen_stack:
            if screen.is_mounted and hasattr(screen, "arrived"):
                screen.arrived(status)
        self._redraw()

    def _redraw(self) -> None:
        for line in self.screen.query("Head"):
            line.refresh()

    def drill(self, line: Check) -> None:
        """Look closer at what a line is about."""
        self.guide.drill(line)

    def open(self, screen: "Screen[None]") -> None:
        """Show a screen; it takes what is known already from `shown`."""
        self.push_screen(screen)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """See App: a key may come before the view that it asks has anything in it."""
        return super().check_action(action, parameters) if self.screen.is_mounted or action not in _OF_VIEW else False

    def action_goto(self) -> None:
        """Ask where to."""
        self.guide.ask()

    def action_last(self) -> None:
        """Back to the view before this one."""
        self.guide.back_to_last()

    def action_travel(self, by: int) -> None:
        """Back or forward through the views that were opened."""
        self.guide.travel(by)

    def action_freeze(self) -> None:
        """Stop time, or let it go on."""
        if self.frozen_at is not None:
            self.frozen_at = None
            if self._latest is not None:
                self._show(self._latest)
        elif self.snapshot is not None:
            self.frozen_at = self.snapshot.at
        self._redraw()

    def action_step(self, steps: int) -> None:
        """Freeze, and show what was known so many snapshots earlier or later."""
        if self.snapshot is None or (steps > 0 and self.frozen_at is None):
            return
        self._steps += steps
        if not self._stepping:
            self._step(self.snapshot.at)

    def _step(self, moment: datetime) -> None:
        steps, self._steps = self._steps, 0
        home = next(iter(self.screen_stack[1:]), None)
        if home is None:  # it is being left
            return
        self._stepping = True
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

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """See App; without secrets."""
        super().notify(self.hide(message), title=title, severity=severity, timeout=timeout, markup=markup)

    def copy_to_clipboard(self, text: str) -> None:
        """See App: inside tmux and screen too."""
        super().copy_to_clipboard(text)
        if self._driver is not None and (more := passed_through(text, os.environ)):
            self._driver.write(more)

    def action_copy_row(self) -> None:
        """To the terminal's clipboard, by OSC 52."""
        self.outlet.copy(getattr(self.screen, "row_text", str)(), "copied")

    def action_copy_command(self) -> None:
        """The command that shows the same."""
        screen = self.screen
        command = getattr(screen, "command", str)()
        if not isinstance(screen, ModalScreen):  # those of plans are whole
            command = with_tail(command, self.tail)
        self.outlet.copy(command, command)

    def action_page(self) -> None:
        """The row or the page in the user's pager."""
        self.outlet.page()

    def action_save(self) -> None:
        """Keep what is shown in a file."""
        self.outlet.save(self.shown)

    def action_help(self) -> None:
        """What keys do."""
        from ticketops.tui.screens.help import HelpScreen  # noqa: PLC0415 - the first frame does not wait for it

        self.push_screen(HelpScreen(self.screen, self.keymap))

    async def action_quit(self) -> None:
        """Textual's own key, which works in dialogs too."""
        self.action_leave()

    def action_leave(self) -> None:
        """Leave at once."""
        self._feed.stop()
        self.left_over = self.changes.leave()
        self.exit(0)

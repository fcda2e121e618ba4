"""How a change goes in the dashboard: unlocked, asked for, planned, agreed to by typing, made in a thread, told."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from textual.app import SuspendNotSupported
from textual.screen import ModalScreen

from ticketops.errors import TicketOpsError
from ticketops.services.editor import edited
from ticketops.tui.background import once, there
from ticketops.tui.lock import Lock
from ticketops.tui.looks import safe
from ticketops.tui.proposals import Asked, Editing, Proposal, Question, Step, Watch
from ticketops.tui.screens.ask import AskScreen
from ticketops.tui.screens.confirm import ConfirmScreen
from ticketops.tui.terminal import lent

if TYPE_CHECKING:
    from textual.screen import Screen
    from textual.timer import Timer

    from ticketops.tui.app import Dashboard

_GRACE: Final = 0.2
"""Seconds that leaving waits for the changes under way to stop."""
_SLOW: Final = 0.3
"""Seconds after which it is said that a plan is being made."""
_TICK: Final = 1.0
_UNLOCK: Final = "W unlocks changes for five minutes"


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """One key that somebody pressed to change something."""

    screen: "Screen[Any]"
    keys: tuple[str, ...]
    """The rows that were marked, or the one under the cursor."""


class Changes:
    """The changes of one dashboard."""

    def __init__(self, app: "Dashboard", lock: Lock | None = None, editor: Callable[[str], str] = edited) -> None:
        """`editor` lets the user change a text, while the terminal is his."""
        self._app = app
        self.lock = lock or Lock()
        self._editor = editor
        self._latest: _Request | None = None
        """What is being planned or asked; who asks for something else gives it up."""
        self._planning = False
        self._under_way: dict[Watch, tuple[Proposal, threading.Thread]] = {}
        self._ticks: Timer | None = None

    @property
    def told(self) -> str:
        """What is under way, for the header; empty where nothing is."""
        made = [f"{watch.said} {proposal.title}".strip() for watch, (proposal, _) in self._under_way.items()]
        planning = self._planning and self._latest is not None and self._latest.screen in self._app.screen_stack
        return ", ".join(["planning …"] * planning + made)

    def turn(self) -> None:
        """Unlock, or lock again before the time is over."""
        self.lock.turn()
        self._repaint()

    def _repaint(self) -> None:
        """Draw the header, and every second again as long as it has something that changes by itself."""
        for screen in self._app.screen_stack[-2:]:
            for line in screen.query("Head, Foot"):
                line.refresh()
        lives = bool(self.lock.left or self._under_way)
        if lives and self._ticks is None:
            self._ticks = self._app.set_interval(_TICK, self._repaint)
        elif not lives and self._ticks is not None:
            self._ticks.stop()
            self._ticks = None

    def propose(self, screen: "Screen[Any]", step: Step, keys: tuple[str, ...] = ()) -> None:
        """Make a step towards a change of these rows; nothing where it is locked, or another dialog is open."""
        if isinstance(self._app.screen, ModalScreen):
            return
        if self._unlocked(f"read-only; {_UNLOCK}"):
            self._make_step(_Request(screen, keys), step)

    def _unlocked(self, otherwise: str = f"the time was over, and nothing was changed; {_UNLOCK}") -> bool:
        if self.lock.left:
            return True
        self._tell(otherwise, severity="warning")
        return False

    def _tell(self, text: str, title: str = "", severity: str = "information", timeout: float = 10) -> None:
        self._app.notify(safe(text), title=safe(title), severity=severity, timeout=timeout, markup=False)  # type: ignore[arg-type]  # one of Textual's words

    def _make_step(self, request: _Request, step: Step) -> None:
        self._latest, self._planning = request, True
        once(
            request.screen,
            step,
            lambda asked: self._next(request, asked),
            lambda _: self._settle(request),
            lambda asked: self._given_up(request, asked),
        )
        request.screen.set_timer(_SLOW, lambda: self._still(request))

    def _still(self, request: _Request) -> None:
        if self._planning and self._latest is request:
            self._tell("planning …", timeout=2)
            self._repaint()

    def _settle(self, request: _Request) -> None:
        """Its step is made, or failed."""
        if self._latest is request:
            self._planning = False
            self._repaint()

    def _given_up(self, request: _Request, asked: Asked) -> None:
        self._settle(request)
        asked.drop()

    def _next(self, request: _Request, asked: Asked) -> None:
        self._settle(request)
        if self._latest is not request:
            asked.drop()
        elif isinstance(self._app.screen, ModalScreen):
            asked.drop()
            self._tell("planned, but another dialog was open; ask again", severity="warning")
        elif isinstance(asked, Proposal):
            self._confirm(request, asked)
        elif isinstance(asked, Question):
            self._app.push_screen(AskScreen(asked), lambda step: self._answered(request, asked, step))
        else:
            self._edit(request, asked)

    def _answered(self, request: _Request, asked: Asked, step: Step | None) -> None:
        if step is None:
            return
        if self._unlocked():
            self._make_step(request, step)
        else:
            asked.drop()

    def _edit(self, request: _Request, asked: Editing) -> None:
        step: Step | None = None
        try:
            with lent(self._app):
                step = asked.then(self._editor(asked.text))
        except SuspendNotSupported:
            self._tell("this terminal cannot be given to an editor; Y copies the command that edits", severity="error")
        except TicketOpsError as error:
            self._tell(_words(error), severity="error")
        if step is None:
            asked.drop()
            return
        self.lock.renew()
        self._make_step(request, step)

    def _confirm(self, request: _Request, proposal: Proposal) -> None:
        if not proposal.count:
            proposal.drop()
            self._tell("; ".join(proposal.lines) or "nothing to do")
            return

        def answered(reason: str | None) -> None:
            if reason is None:
                return
            if self._unlocked():
                self._start(request, proposal, reason)
            else:
                proposal.drop()

        self._app.push_screen(ConfirmScreen(proposal, self._app.context), answered)

    def _start(self, request: _Request, proposal: Proposal, reason: str) -> None:
        watch = Watch(reason=reason)
        thread = threading.Thread(target=self._make, args=(request, proposal, watch), name="change", daemon=True)
        self._under_way[watch] = proposal, thread
        thread.start()
        self._repaint()

    def _make(self, request: _Request, proposal: Proposal, watch: Watch) -> None:
        try:
            said, failed = proposal.make(watch), False
        except TicketOpsError as error:
            said, failed = _words(error), True
        except Exception as error:  # noqa: BLE001 - the thread's outermost guard: the screen says so
            said, failed = f"{type(error).__name__}: {error}", True
        self._app.call_later(self._made, request, watch, said, failed)

    def _made(self, request: _Request, watch: Watch, said: str, failed: bool) -> None:
        proposal, _ = self._under_way.pop(watch)
        self._tell(said, title=proposal.title, severity="error" if failed else "information")
        self._repaint()
        if not there(request.screen):
            return
        if not failed:
            getattr(request.screen, "unmark", bool)(request.keys)
        getattr(request.screen, "reload", bool)()

    def leave(self) -> list[str]:
        """Stop what is under way, without waiting long; the commands that go on with what was cut off."""
        for watch in self._under_way:
            watch.stop.set()
        deadline = time.monotonic() + _GRACE
        for _, thread in self._under_way.values():
            thread.join(max(deadline - time.monotonic(), 0.0))
        return [command for proposal, _ in self._under_way.values() if (command := proposal.go_on())]


def _words(error: TicketOpsError) -> str:
    said = ": ".join(filter(None, (error.what, error.why)))
    return "; ".join(filter(None, (said, error.hint)))

"""How a change goes in the dashboard: unlocked, planned, agreed to by typing, made in a thread, told."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ticketops.errors import TicketOpsError
from ticketops.tui.background import once
from ticketops.tui.lock import Lock
from ticketops.tui.looks import safe
from ticketops.tui.proposals import Proposal, Watch
from ticketops.tui.screens.confirm import ConfirmScreen

if TYPE_CHECKING:
    from textual.screen import Screen

    from ticketops.tui.app import Dashboard

_GRACE: Final = 0.2
"""Seconds that leaving waits for the changes under way to stop."""


class Changes:
    """The changes of one dashboard."""

    def __init__(self, app: "Dashboard", lock: Lock | None = None) -> None:
        self._app = app
        self.lock = lock or Lock()
        self._under_way: dict[Watch, tuple[Proposal, threading.Thread]] = {}

    @property
    def told(self) -> str:
        """What is under way, for the header; empty where nothing is."""
        return ", ".join(f"{proposal.title} {watch.said}".strip() for watch, (proposal, _) in self._under_way.items())

    def propose(self, screen: "Screen[Any]", plan: Callable[[], Proposal]) -> None:
        """Ask for a plan in a thread, then for the agreement; nothing where it is locked."""
        if not self._unlocked():
            return
        self._app.notify("planning …", timeout=2, markup=False)
        once(screen, plan, lambda proposal: self._ask(screen, proposal), lambda _: None, lambda late: late.drop())

    def _unlocked(self) -> bool:
        if self.lock.left:
            return True
        self._app.notify("read-only; W unlocks changes for five minutes", severity="warning", markup=False)
        return False

    def _ask(self, screen: "Screen[Any]", proposal: Proposal) -> None:
        if not proposal.count:
            proposal.drop()
            self._app.notify(safe("; ".join(proposal.lines) or "nothing to do"), markup=False)
            return

        def answered(reason: str | None) -> None:
            if reason is not None and self._unlocked():
                self._start(screen, proposal, reason)
            else:
                proposal.drop()

        self._app.push_screen(ConfirmScreen(proposal, self._app.context), answered)

    def _start(self, screen: "Screen[Any]", proposal: Proposal, reason: str) -> None:
        watch = Watch(reason=reason)
        thread = threading.Thread(target=self._make, args=(screen, proposal, watch), name="change", daemon=True)
        self._under_way[watch] = proposal, thread
        thread.start()

    def _make(self, screen: "Screen[Any]", proposal: Proposal, watch: Watch) -> None:
        try:
            said, severity = proposal.make(watch), "information"
        except TicketOpsError as error:
            said, severity = ": ".join(filter(None, (error.what, error.why))), "error"
        except Exception as error:  # noqa: BLE001 - the thread's outermost guard: the screen says so
            said, severity = f"{type(error).__name__}: {error}", "error"
        self._app.call_later(self._made, screen, watch, said, severity)

    def _made(self, screen: "Screen[Any]", watch: Watch, said: str, severity: str) -> None:
        proposal, _ = self._under_way.pop(watch)
        self._app.notify(
            safe(said),
            title=safe(proposal.title),
            severity="error" if severity == "error" else "information",
            timeout=10,
            markup=False,
        )
        if screen.is_mounted:
            getattr(screen, "reload", bool)()

    def leave(self) -> list[str]:
        """Stop what is under way, without waiting long; the commands that go on with what was cut off."""
        for watch in self._under_way:
            watch.stop.set()
        deadline = time.monotonic() + _GRACE
        for _, thread in self._under_way.values():
            thread.join(max(deadline - time.monotonic(), 0.0))
        return [command for proposal, _ in self._under_way.values() if (command := proposal.go_on())]

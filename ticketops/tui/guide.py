"""Going: by words, back and forward through what was looked at, and to what a line of home is about."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from textual.screen import ModalScreen, Screen

from ticketops.domain.deadletters import QueueKind
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check
from ticketops.domain.overview.snapshot import Snapshot
from ticketops.errors import UsageError
from ticketops.tui.lines import parse
from ticketops.tui.looks import safe, with_tail
from ticketops.tui.visits import Visits, Words

if TYPE_CHECKING:
    from ticketops.tui.app import Dashboard
    from ticketops.tui.sources import Sources

_DEEP: Final = 12
"""Views that lie over each other, at most: each keeps what it has read; `[` opens closed ones again."""
_LINES: Final = 100
"""Lines that are remembered."""
_VIEWS: Final[Mapping[str, Words]] = {
    "outbox": ("outbox",),
    "relay": ("relay",),
    "alerts": ("alerts",),
    "emails": ("worker",),
    "queues": ("worker",),
}
"""By the area of a line of home."""


def load() -> None:
    """Import every view, so that going there takes no time; the first frame does not wait for them."""
    for name in ("goto", "help"):
        import_module(f"ticketops.tui.screens.{name}")


class Guide:
    """Where one dashboard is, was and can go."""

    def __init__(self, app: "Dashboard", sources: "Callable[[], Sources]") -> None:
        """`sources` is asked once, when it is needed."""
        self._app = app
        self._make_sources = sources
        self._said: list[str] = []
        self.visits = Visits()

    @cached_property
    def _sources(self) -> "Sources":
        return self._make_sources()

    def seen(self, _: object = None) -> None:
        """Take down which view is shown now."""
        screen = self._app.screen
        if not isinstance(screen, ModalScreen):
            self.visits.see(_words_of(screen))

    def ask(self) -> None:
        """Ask where to."""
        from ticketops.tui.screens.goto import GotoScreen  # noqa: PLC0415 - see load()

        self._app.push_screen(GotoScreen(self._app.snapshot, tuple(self._said)), self._answered)

    def _answered(self, text: str | None) -> None:
        from ticketops.tui.commands import understood  # noqa: PLC0415 - see load()
        from ticketops.tui.places import near  # noqa: PLC0415

        if not text or not text.strip():
            return
        self._said = [*(line for line in self._said if line != text), text][-_LINES:]
        line = parse(text)
        if not line.words:
            self._look_for(line.wanted)
            return
        try:
            words = understood(line.words, self._own())
        except UsageError as error:
            self._tell("; ".join(filter(None, (error.what, error.why, error.hint))))
            return
        if not (words and self.go(words, line.wanted)):
            said, hint = " ".join(line.words), near(words or line.words)
            self._tell(f"unknown: {said}; {hint or '? shows where one can go'}")

    def _own(self) -> Sequence[tuple[str, str]]:
        """The options that mean the system which is shown."""
        tail = self._app.tail
        return [*zip(tail[::2], tail[1::2], strict=True), ("--context", self._app.context)]

    def go(self, words: Sequence[str], wanted: str = "") -> bool:
        """Go where words say, and filter there; False where that is nowhere."""
        words = tuple(words)
        if words[0] in {"q", "quit"}:
            self._app.action_leave()
        elif words[0] == "help":
            self._app.action_help()
        elif self._return_to(words) or self._open(words):
            if wanted:
                self._look_for(wanted)
        else:
            return False
        return True

    def _return_to(self, words: Words) -> bool:
        """Close what lies over a view that is open already."""
        stack = self._app.screen_stack
        for number in range(len(stack) - 1, 0, -1):
            if _words_of(stack[number]) == words:
                for _ in stack[number + 1 :]:
                    self._app.pop_screen()
                getattr(self._app.screen, "reload", bool)()
                return True
        return False

    def _open(self, words: Words) -> bool:
        from ticketops.tui.places import place_of  # noqa: PLC0415 - see load()

        found = place_of(words)
        screen = found[0].make(self._sources, found[1]) if found else None
        if screen is None:
            return False
        if not self._return_to(_words_of(screen)):
            if len(self._app.screen_stack) >= _DEEP:
                self._return_to(("home",))
            self._app.push_screen(screen)
        return True

    def _look_for(self, text: str) -> None:
        getattr(self._app.screen, "look_for", bool)(text)

    def back_to_last(self) -> None:
        """Go to the view that was shown before this one."""
        if not (self.visits.last and self.go(self.visits.last)):
            self._tell("there was no view before this one")

    def travel(self, by: int) -> None:
        """Go so many views back or forward."""
        words = self.visits.travel(by)
        if not (words and self.go(words)):
            self._tell("no view was opened before" if by < 0 else "no view was opened after this one")

    def drill(self, line: Check) -> None:
        """Look closer at what a line of home is about; where there is no view of it, tell the command."""
        words = _below(line, self._app.snapshot)
        if not (words and self.go(words)):
            self._tell(
                with_tail(line.next, self._app.tail)
                or f"{line.area} {line.subject} is fine, and there is no view of it"
            )

    def _tell(self, text: str) -> None:
        self._app.notify(safe(text), markup=False)


def _words_of(screen: "Screen[Any]") -> Words:
    words: Words = getattr(screen, "words", tuple)()
    return words


_PLAIN: Final = {
    "outbox": ("outbox",),
    "relay": ("relay",),
    "alerts": ("alerts",),
    "emails": ("worker",),
    "queues": ("worker",),
}
"""Areas of one view, whatever the line is."""


def _below(line: Check, snapshot: Snapshot | None) -> Words:
    """Where one looks closer at a line, in the words of `:`; empty where there is no view of it."""
    match line.area, line.subject:
        case "lag", "consumer groups":
            return ("lag",)
        case "outbox", "held back":
            return ("outbox", "held")
        case "lag" | "dlq" as area, subject:
            return (area, subject)
        case "state", subject:
            return ("state", subject) if line.grade is Grade.UNKNOWN else _stuck(subject)
        case "compensations", _:
            return _compensations(snapshot)
    return _VIEWS.get(line.area, ())


def _stuck(subject: str) -> Words:
    """Of a state or of `expired`, after the machine's name where that is not the bookings'."""
    machine, _, state = subject.rpartition(" ")
    return ("state", "stuck", machine or "booking", *([] if state == "expired" else [state]))


def _compensations(snapshot: Snapshot | None) -> Words:
    """The queue of compensations, whatever it is called."""
    readings = snapshot.dead_letters if snapshot else {}
    kind = QueueKind.COMPENSATIONS.value
    named = [name for name, reading in readings.items() if reading.value and reading.value.kind == kind]
    return ("dlq", *named[:1])

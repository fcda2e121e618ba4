"""`:` asks where to, in the words of the command line; it completes, and remembers what was said."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Static

from ticketops.domain.overview.snapshot import Snapshot
from ticketops.tui.actions import IN_BOXES, bindings
from ticketops.tui.lines import named, spoken
from ticketops.tui.places import OTHERS, PLACES, Place

_OFFERED: Final = 12
"""Ways to go on that are shown while one types."""


class GotoScreen(ModalScreen[str | None]):
    """One line; the text that was submitted."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "back"), *bindings(*IN_BOXES)]

    def __init__(self, snapshot: Snapshot | None, said: Sequence[str]) -> None:
        """`said`: earlier lines, the newest last."""
        super().__init__()
        self._known = list(_known(snapshot))
        self._said = said

    def compose(self) -> ComposeResult:
        """See ModalScreen."""
        with Vertical(id="going"):
            yield Static("", id="offered", markup=False)
            yield LineInput(self._known, self._said)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#offered", Static).update(_offered(event.value, self._known))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go there."""
        self.dismiss(event.value)


class LineInput(Input):
    """Tab or the right arrow completes, up and down go through earlier lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "complete", show=False),
        Binding("up", "recall(-1)", "earlier line", show=False),
        Binding("down", "recall(1)", "later line", show=False),
    ]

    def __init__(self, known: Sequence[str], said: Sequence[str]) -> None:
        super().__init__(placeholder=_PLACEHOLDER, id="goto", suggester=_Known(known))
        self._lines = [*said, ""]
        self._at = len(said)

    def action_complete(self) -> None:
        """Take what is suggested."""
        self.action_end()
        self.action_cursor_right()

    def action_recall(self, by: int) -> None:
        """Show an earlier or a later line; what is being typed stands at the end."""
        there = self._at + by
        if 0 <= there < len(self._lines):
            if self._at == len(self._lines) - 1:
                self._lines[-1] = self.value
            self._at = there
            self.value = self._lines[there]
            self.action_end()


_PLACEHOLDER: Final = "dlq QUEUE /text, lag GROUP, trace KEY …  Tab completes, ↑ earlier, Esc leaves"


class _Known(Suggester):
    """Offers the first line that begins like what is typed."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._known = known

    async def get_suggestion(self, value: str) -> str | None:
        """See Suggester."""
        return next((line for line in self._known if value and line.startswith(value) and line != value), None)


def _known(snapshot: Snapshot | None) -> Iterator[str]:
    """What can be written, the likelier first."""
    places = [(len(place.words), " ".join(place.words) + (" " if place.least else "")) for place in PLACES]
    yield from (line for count, line in places if count == 1)
    yield from OTHERS
    yield from (spoken(words) for words in named(snapshot))
    yield from (line for count, line in places if count > 1)


def _offered(typed: str, known: Sequence[str]) -> Text:
    """The ways to go on, then what the place at hand takes."""
    found = [line for line in known if line.startswith(typed)] if typed else []
    offered = Text("   ".join(found[:_OFFERED]) + (" …" if len(found) > _OFFERED else ""), "dim")
    if place := _place(typed.split()):
        offered.append(("\n" if found else "") + f"{place.shown}: {place.help}")
    return offered


def _place(words: Sequence[str]) -> Place | None:
    """The place that is being written; one of two words goes before one of its first."""
    fitting = [place for place in PLACES if place.words == tuple(words[: len(place.words)])]
    return max(fitting, key=lambda place: len(place.words), default=None)

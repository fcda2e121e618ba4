"""What keys do, from the registry of actions: what the view at hand can do first."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from ticketops.tui.actions import CHANGES, EVERYWHERE, IN_TABLES, IN_TEXTS, ON_ROWS, Action, actions_of
from ticketops.tui.keymap import shown_of
from ticketops.tui.places import PLACES
from ticketops.tui.screens.tabled import TabledScreen

_SHARED: Final = frozenset((*EVERYWHERE, *IN_TABLES, *IN_TEXTS, *ON_ROWS))
_SIGNS: Final = "X bad   ! a limit is breached   ? not known   . fine"
_CHANGES: Final = (
    "W unlocks changes for five minutes; a capital asks for one and shows its plan; it is made when the context and"
    " the count are typed, as an operation that `ticketops ops` shows, cancels and resumes. Y copies the command."
)


class HelpScreen(ModalScreen[None]):
    """A page of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,q,question_mark,f1", "dismiss(None)", "back")]

    def __init__(self, screen: "Screen[Any]", keymap: Mapping[str, str]) -> None:
        """`screen`: the view that help was asked in; `keymap`: the user's own keys."""
        super().__init__()
        self._groups = _groups(screen)
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """See ModalScreen."""
        with VerticalScroll(id="help"):
            yield Static(self._page(), markup=False)

    def _page(self) -> Text:
        page = Text().append("Keys\n\n", "bold")
        for title, actions in self._groups:
            page.append(f"{title}\n", "dim")
            for action in (action for action in actions if action.label):
                page.append_text(self._line(action))
            page.append("\n")
        page.append("after `:`; then a filter, as in `:lag /email`\n", "dim")
        for place in PLACES:
            page.append(f"  {place.shown:31}", "bold").append(f"{place.help}\n")
        page.append(f"\n{_SIGNS}\n\n", "bold")
        return page.append(_CHANGES, "dim")

    def _line(self, action: Action) -> Text:
        line = Text(f"  {shown_of(action, self._keymap):9}")
        return line.append(f"{action.label:15}", "bold").append(f"{action.help}\n")


def _groups(screen: "Screen[Any]") -> Sequence[tuple[str, Sequence[Action]]]:
    """The titles with their actions."""
    own = [action for action in actions_of(screen) if action not in _SHARED and action.label]
    here: list[tuple[str, Sequence[Action]]] = [("in this view", own)] if own else []
    listed = isinstance(screen, TabledScreen)
    shared = [
        ("in every list", (*ON_ROWS, *IN_TABLES)),
        ("everywhere", EVERYWHERE if listed else (*IN_TEXTS, *EVERYWHERE)),
    ]
    elsewhere = [(f"changes {title}", actions) for title, actions in CHANGES if not set(own) & set(actions)]
    return [*here, *shared[not listed :], *elsewhere]

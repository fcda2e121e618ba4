"""What keys do, from the registry of actions."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from ticketops.tui.actions import CHANGES, EVERYWHERE, IN_TABLES, Action
from ticketops.tui.places import PLACES


class HelpScreen(ModalScreen[None]):
    """A page of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape,q,question_mark", "dismiss(None)", "back")]

    def compose(self) -> ComposeResult:
        """See ModalScreen."""
        with VerticalScroll(id="help"):
            yield Static(_page(), markup=False)


def _page() -> Text:
    page = Text("Keys\n\n", "bold")
    for title, actions in (("in every list", IN_TABLES), ("everywhere", EVERYWHERE)):
        page.append(f"{title}\n", "dim")
        for action in (action for action in actions if action.label):
            page.append_text(_line(action))
        page.append("\n")
    page.append("changes, after W: each shows its plan, and is made when you type context and count\n", "dim")
    for title, changes in CHANGES:
        page.append(f"{title}\n", "dim")
        for action in changes:
            page.append_text(_line(action))
    page.append("\n")
    page.append("after `:`\n", "dim")
    for place in PLACES:
        page.append(f"  {place.shown:24}", "bold").append(f"{place.help}\n")
    page.append("\n")
    return page.append("X bad   ! a limit is breached   ? not known   . fine\n", "bold")


def _line(action: Action) -> Text:
    return Text(f"  {action.shown:9}").append(f"{action.label:14}", "bold").append(f"{action.help}\n")

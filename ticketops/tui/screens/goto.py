"""`:` asks where to, in the words of the command line."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widgets import Input

from ticketops.tui.places import PLACES


class GotoScreen(ModalScreen[list[str] | None]):
    """One line."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "back")]

    def compose(self) -> ComposeResult:
        """See ModalScreen."""
        yield Input(placeholder="home, " + ", ".join(place.shown for place in PLACES) + ", quit", id="goto")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go there."""
        self.dismiss(event.value.removeprefix(":").split())

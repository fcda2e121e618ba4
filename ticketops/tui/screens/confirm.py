"""The plan of a change, and the words that have to be typed to make it."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ticketops.tui.looks import safe
from ticketops.tui.proposals import Proposal


class ConfirmScreen(ModalScreen[str | None]):
    """The reason where the context and the count were typed, which may be empty; None otherwise."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "back")]

    def __init__(self, proposal: Proposal, context: str) -> None:
        super().__init__()
        self._proposal = proposal
        self._phrase = f"{context} {proposal.count}"

    def compose(self) -> ComposeResult:
        """See ModalScreen."""
        with Vertical(id="confirm"):
            with VerticalScroll(id="plan"):
                yield Static(self._page(), markup=False)
            yield Static(self._asked(), id="asked", markup=False)
            yield Input(id="typed")
            yield Input(placeholder="why, for the audit log (Tab; may stay empty)", id="reason")

    def on_mount(self) -> None:
        """The keys go to the words."""
        self.query_one("#typed").focus()

    def _page(self) -> Text:
        page = Text(f"{safe(self._proposal.title)}\n\n", "bold")
        for line in self._proposal.lines:
            page.append(f"{safe(line)}\n")
        return page.append("\nthe same as\n", "dim").append(safe(self._proposal.command, 4000))

    def _asked(self) -> Text:
        return Text("type ").append(safe(self._phrase), "bold").append(" and Enter to do it; Esc leaves it")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Agree, where the words are right; Enter alone does nothing."""
        typed = self.query_one("#typed", Input).value.strip()
        if typed == self._phrase:
            self.dismiss(self.query_one("#reason", Input).value.strip())
        elif event.value.strip():
            self.query_one("#asked", Static).update(Text("that is not it; ").append_text(self._asked()))

    def command(self) -> str:
        """The command line that would do the same."""
        return self._proposal.command

    def row_text(self) -> str:
        """The plan, for the clipboard."""
        return "\n".join(self._proposal.lines)

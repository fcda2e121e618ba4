"""The plan of a change, and the words that have to be typed to make it."""

from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ticketops.tui.actions import IN_BOXES, bindings
from ticketops.tui.looks import safe
from ticketops.tui.proposals import Proposal

_BESIDE: Final = 7
"""Lines that stand beside the plan: the frame, what is asked, what is typed."""


class ConfirmScreen(ModalScreen[str | None]):
    """The reason where the context and the count were typed, which may be empty; None otherwise."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape", "dismiss(None)", "back"),
        ("pageup,up", "scroll(-1)", "up"),
        ("pagedown,down", "scroll(1)", "down"),
        *bindings(*IN_BOXES),
    ]

    def __init__(self, proposal: Proposal, context: str) -> None:
        super().__init__()
        self._proposal = proposal
        self._agreed = False
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

    def on_resize(self) -> None:
        """However long the plan is, the words are seen."""
        self.query_one("#plan").styles.max_height = max(self.size.height - _BESIDE, 1)

    def on_unmount(self) -> None:
        """Forget the plan, in whatever way the screen was left without an agreement."""
        if not self._agreed:
            self._proposal.drop()

    def action_scroll(self, pages: int) -> None:
        """Scroll the plan, while the keys go to the words."""
        plan = self.query_one("#plan")
        plan.scroll_relative(y=pages * max(plan.size.height - 1, 1), animate=False)

    def _page(self) -> Text:
        page = Text().append(f"{safe(self._proposal.title)}\n\n", "bold")
        for line in self._proposal.lines:
            page.append(f"{safe(line)}\n")
        return page.append("\nthe same as\n", "dim").append(f"{safe(self._proposal.command, 4000)}\n", "bold")

    def _asked(self) -> Text:
        return Text("type ").append(safe(self._phrase), "bold").append(" and Enter to do it; Esc leaves it")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Agree, where the words are right; Enter alone does nothing."""
        typed = self.query_one("#typed", Input).value.strip()
        if typed == self._phrase:
            self._agreed = True
            self.dismiss(self.query_one("#reason", Input).value.strip())
        elif event.value.strip():
            self.query_one("#asked", Static).update(Text("that is not it; ").append_text(self._asked()))

    def command(self) -> str:
        """The command line that would do the same."""
        return self._proposal.command

    def row_text(self) -> str:
        """The plan, for the clipboard."""
        return "\n".join(self._proposal.lines)

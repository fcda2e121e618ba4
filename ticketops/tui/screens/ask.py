"""One line that is asked for before there is a plan."""

from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ticketops.domain.lag.verdicts import Grade
from ticketops.errors import UsageError
from ticketops.tui.actions import IN_BOXES, bindings
from ticketops.tui.looks import STYLES, safe
from ticketops.tui.proposals import Question, Step

_BESIDE: Final = 6
"""Lines that stand beside what may be written: the frame, what was refused, the answer."""


class AskScreen(ModalScreen[Step | None]):
    """What follows from the answer; None where nobody answered."""

    BINDINGS: ClassVar[list[BindingType]] = [("escape", "dismiss(None)", "back"), *bindings(*IN_BOXES)]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question
        self._answered = False

    def compose(self) -> ComposeResult:
        """See ModalScreen."""
        with Vertical(id="ask"):
            with VerticalScroll(id="told"):
                yield Static(self._page(), markup=False)
            yield Static(Text("Enter goes on to the plan; Esc leaves it", "dim"), id="refused", markup=False)
            yield Input(self._question.start, id="answer")

    def on_mount(self) -> None:
        """The keys go to the line."""
        self.query_one("#answer").focus()

    def on_resize(self) -> None:
        """However much may be written, the line is seen."""
        self.query_one("#told").styles.max_height = max(self.size.height - _BESIDE, 1)

    def on_unmount(self) -> None:
        """Forget it, in whatever way the screen was left without an answer."""
        if not self._answered:
            self._question.drop()

    def _page(self) -> Text:
        page = Text().append(f"{safe(self._question.title)}\n", "bold")
        for line in self._question.lines:
            page.append(f"\n{safe(line)}")
        return page

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the answer, or say what is wrong with it."""
        try:
            step = self._question.then(event.value.strip())
        except UsageError as error:
            said = ": ".join(filter(None, (error.what, error.why or error.hint)))
            self.query_one("#refused", Static).update(Text(safe(said), STYLES[Grade.WARN]))
        else:
            self._answered = True
            self.dismiss(step)

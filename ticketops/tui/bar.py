"""The line above a pane: its number and title to the left, a figure to the right."""

from rich.text import Text
from textual.widget import Widget

from ticketops.tui.looks import draws_lines


class Bar(Widget):
    """Drawn by ourselves: a border's title would be parsed as markup."""

    def __init__(self, left: str, *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._left = left
        self._right = ""

    def show(self, left: str, right: str = "") -> None:
        """Both are safe for a terminal already."""
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    def render(self) -> Text:
        """See Widget."""
        rule = "─" if draws_lines(self.app) else "-"
        right = Text(f" {self._right} {rule}" if self._right else "", no_wrap=True)
        right.truncate(self.size.width * 2 // 3, overflow="ellipsis")
        left = Text(f"{rule} {self._left} ", "bold", no_wrap=True)
        left.truncate(max(self.size.width - right.cell_len - 1, 0), overflow="ellipsis")
        room = max(self.size.width - left.cell_len - right.cell_len, 0)
        return Text.assemble(left, rule * room, right, no_wrap=True, overflow="crop")

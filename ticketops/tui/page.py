"""Text that is laid out anew only where it has changed: a layout costs more than everything else of a snapshot."""

from rich.text import Text
from textual.widgets import Static


class Page(Static):
    """Foreign text in it is never parsed as markup."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__("", id=id, markup=False)
        self._shown: tuple[object, ...] = ()

    def show(self, text: Text) -> None:
        """Show a text, unless it is the one that is shown."""
        found = (text.plain, text.style, tuple(text.spans))
        if found != self._shown:
            self._shown = found
            self.update(text)

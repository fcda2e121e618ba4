"""One thing, whole: its fields, then its payload."""

import sys
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, Protocol

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from ticketops.services.overview.status import Status
from ticketops.tui.actions import IN_TEXTS, bindings
from ticketops.tui.background import once
from ticketops.tui.bar import Bar
from ticketops.tui.header import Foot, Head
from ticketops.tui.looks import safe
from ticketops.tui.screens.view import View

TEXT: Final = 70_000
"""Characters of a text that are shown; no line of it is longer."""
EVERYTHING: Final = sys.maxsize
"""As many as there are, for a pager."""


class PageRead(Protocol):
    """Reads a page, in a thread."""

    def __call__(self, most: int = TEXT) -> Text:
        """At most so many characters of each text in it."""


class WholeScreen(View):
    """A page of text that is read when it is opened, and again when one asks for it; in a thread."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(*IN_TEXTS)]

    def __init__(self, title: str, read: PageRead, command: str, words: tuple[str, ...] = ()) -> None:
        """`title` may be foreign text; `words` lead to the page after `:`, where it can be opened again."""
        super().__init__()
        self._title = safe(title)
        self._read = read
        self._command = command
        self._words = words
        self._text = Text("")
        self._busy = False

    def compose(self) -> ComposeResult:
        """See Screen."""
        yield Head()
        yield Bar(f"{self._title}: reading …", id="title")
        with VerticalScroll(id="page"):
            yield Static("", id="whole", markup=False)
        yield Foot()

    def on_mount(self) -> None:
        """Read it."""
        self.query_one("#page").focus()
        self.reload()

    def reload(self) -> None:
        """Read it again, unless it is being read."""
        if not self._busy:
            self._busy = True
            once(self, self._read, self._shown, self._failed)

    def arrived(self, _: Status) -> None:
        """One thing does not change under the reader."""

    def _shown(self, text: Text) -> None:
        self._text, self._busy = text, False
        self.query_one("#title", Bar).show(self._title)
        self.query_one("#whole", Static).update(text)

    def _failed(self, text: str) -> None:
        self._busy = False
        self.query_one("#title", Bar).show(f"{self._title}: not read", text)

    def action_back(self) -> None:
        """Back to the list."""
        self.app.pop_screen()

    def words(self) -> tuple[str, ...]:
        """What leads to this page after `:`; empty where nothing does."""
        return self._words

    def paging(self) -> Callable[[], str]:
        """What reads all of it for a pager, in a thread."""
        return lambda: self._read(EVERYTHING).plain

    def command(self) -> str:
        """The command that shows the same."""
        return self._command

    def row_text(self) -> str:
        """All of it, for the clipboard."""
        return self._text.plain


def told(fields: Mapping[str, object], payload: str, command: str, most: int = TEXT) -> Text:
    """Fields, then at most so many characters of a payload; `command` shows the rest."""
    page = fielded(fields)
    page.append_text(section("payload", payload, most))
    if len(payload) > most:
        page.append(f"… {len(payload) - most} characters more: | or `{safe(command)}` shows them\n", "dim")
    return page


def fielded(fields: Mapping[str, object]) -> Text:
    """A line for each field; foreign text."""
    page = Text()
    for name, value in fields.items():
        page.append(f"{safe(name, 100):14} ", "dim").append(f"{safe(value if value is not None else '-')}\n")
    return page


def section(title: str, text: str, most: int = TEXT) -> Text:
    """A title, and under it at most so many characters of a text of several lines; foreign text."""
    page = Text(f"\n{title}\n", "bold")
    return page.append("".join(f"{safe(line, most)}\n" for line in text[:most].splitlines()), "")

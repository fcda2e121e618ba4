"""What `ticketops demo` shows while it runs: a line for each step that is over, and below them what goes on."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from ticketops.cli.progress import show_download
from ticketops.demo.show import Audience, Counts, thousands

if TYPE_CHECKING:
    from ticketops.embedded.jars import Download, Progress

_BAR_WIDTH: Final = 10


class View(Audience, Protocol):
    """An audience that also sees the engines' first download."""

    @property
    def download(self) -> "Progress":
        """Told of that download."""


@contextmanager
def watch(stream: TextIO, *, color: bool) -> Iterator[View]:
    """A view on `stream`: with a live line on a terminal, plain lines elsewhere."""
    try:
        if not stream.isatty() or os.environ.get("TERM") == "dumb":
            yield PlainView(stream)
            return
        console = Console(file=stream, no_color=not color, highlight=False)
        text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
        with Bar(BarColumn(_BAR_WIDTH), text, console=console, transient=True) as bar:
            yield TerminalView(bar)
    except KeyboardInterrupt:
        stream.write("the demo was interrupted; its engines, relays and data are gone\n")
        raise


class PlainView:
    """Lines only."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()

    def download(self, download: "Download") -> None:
        """A line when it begins."""
        if not download.done:
            self.done(f"downloading Kafka, once: {download.total} files")

    def begin(self, what: str) -> None:
        """Say nothing: a line follows when it is over."""

    def done(self, what: str) -> None:
        """One line."""
        self._stream.write(f"{time.monotonic() - self._started:5.1f} s  {what}\n")
        self._stream.flush()

    def counts(self, counts: Counts) -> None:
        """Say nothing: a log is no display."""


class TerminalView:
    """Lines, and a bar that moves."""

    def __init__(self, bar: Bar) -> None:
        self.download = show_download(bar)
        self._bar = bar
        self._task = bar.add_task("", total=None)
        self._now = ""
        self._tick = "✓" if bar.console.encoding.startswith("utf") else "+"
        self._started = time.monotonic()

    def begin(self, what: str) -> None:
        """Shown beside the bar."""
        self._now = what
        self._bar.update(self._task, description=what)

    def done(self, what: str) -> None:
        """A line above the bar."""
        line = Text.assemble((self._tick, "green"), f" {time.monotonic() - self._started:5.1f} s  {what}")
        self._bar.console.print(line, soft_wrap=True)

    def counts(self, counts: Counts) -> None:
        """Beside what goes on."""
        numbers = f"{thousands(counts.written)} written, {thousands(counts.read)} read"
        self._bar.update(self._task, description=f"{self._now}: {numbers}")

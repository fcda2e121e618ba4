"""Reads a long list in a daemon thread, as far as somebody wants to see it."""

import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from ticketops.errors import TicketOpsError
from ticketops.tui.packed import PAGE, Fields, Page

T = TypeVar("T")
_TELL: Final = 0.25
"""Seconds between two words on how far it is."""
_FIRST: Final = 0.05
"""Seconds until the first word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a reader is."""

    pages: tuple[Page, ...] = ()
    """Since the last word."""
    looked: int
    """Items that were looked at, those included that are not of the list."""
    met: Mapping[str, int] = field(default_factory=dict)
    """Keys that were sought and are there, with the numbers of their rows."""
    waiting: bool = False
    """It has read what is wanted."""
    ended: bool = False
    """There is no more."""
    error: str = ""
    """Why it ended early; foreign text."""


class Reader(Generic[T]):
    """One reading of a list, from its beginning; it waits where nobody wants more, and ends when it is left."""

    def __init__(
        self,
        opened: Callable[[], Generator[T | None]],
        packed: Callable[[T], Fields],
        told: Callable[["Reader[T]", Progress], object],
        *,
        sought: Collection[str] = (),
    ) -> None:
        """`opened` is called in the thread, and yields None for what was looked at and is not of the list.

        `told` is called in the thread too. `sought`: keys whose rows' numbers are told.
        """
        self._opened = opened
        self._packed = packed
        self._told = told
        self.sought = frozenset(sought)
        self._wanted = 0
        self._more = threading.Event()
        self._stopped = threading.Event()
        self._pages: list[Page] = []
        self._rows: list[Fields] = []
        self._count = self._looked = 0
        self._met: dict[str, int] = {}
        self._due = 0.0

    def want(self, rows: int) -> None:
        """Read on until there are so many; begins where it has not begun."""
        begun = self._wanted > 0
        self._wanted = max(self._wanted, rows)
        self._more.set()
        if not begun:
            threading.Thread(target=self._run, name="reader", daemon=True).start()

    def stop(self) -> None:
        """End soon; nothing is told any more."""
        self._stopped.set()
        self._more.set()

    def _run(self) -> None:
        self._due = time.monotonic() + _FIRST
        try:
            with closing(self._opened()) as items:
                for item in items:
                    if self._stopped.is_set():
                        return
                    self._take(item)
                    self._wait()
            self._tell(ended=True)
        except TicketOpsError as error:
            self._tell(ended=True, error=": ".join(filter(None, (error.what, error.why))))
        except Exception as error:  # noqa: BLE001 - the thread's outermost guard: the screen says so
            self._tell(ended=True, error=f"{type(error).__name__}: {error}")

    def _take(self, item: T | None) -> None:
        self._looked += 1
        if item is not None:
            fields = self._packed(item)
            if fields[0] in self.sought:
                self._met[fields[0]] = self._count
            self._rows.append(fields)
            self._count += 1
        if len(self._rows) >= PAGE:
            self._pack()
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _TELL
            self._tell()

    def _wait(self) -> None:
        while self._count >= self._wanted and not self._stopped.is_set():
            self._more.clear()
            if self._count >= self._wanted:
                self._tell(waiting=True)
                self._more.wait()

    def _pack(self) -> None:
        if self._rows:
            self._pages.append(Page.of(self._rows))
            self._rows = []

    def _tell(self, *, waiting: bool = False, ended: bool = False, error: str = "") -> None:
        if self._stopped.is_set():
            return
        self._pack()
        pages, self._pages = tuple(self._pages), []
        self._told(
            self,
            Progress(
                pages=pages,
                looked=self._looked,
                met=dict(self._met),
                waiting=waiting,
                ended=ended,
                error=error,
            ),
        )

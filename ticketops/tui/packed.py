"""Rows of a long list, packed: a million of them take some tens of megabytes, and only what is seen is unpacked."""

import json
import zlib
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ticketops.tui.table import Row, Rows

PAGE: Final = 256
"""Rows that are packed together, at most."""
_UNPACKED: Final = 8
"""Pages that stay unpacked: those that are looked at."""

Fields = Sequence[Any]
"""What a row is made of, the key first: texts and numbers, of which JSON can hold each."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows."""

    count: int
    body: bytes

    @classmethod
    def of(cls, rows: Sequence[Fields]) -> "Page":
        """Packed."""
        return cls(len(rows), zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1))

    def plain(self) -> bytes:
        """As JSON, in ASCII."""
        return zlib.decompress(self.body)

    def rows(self) -> list[Fields]:
        """Unpacked."""
        rows: list[Fields] = json.loads(self.plain())
        return rows


class PackedRows:
    """Implements Rows; what was added stays where it is. Used in one thread; its pages may go to others."""

    def __init__(self, made: Callable[[Fields], Row]) -> None:
        """`made` makes the row that is shown."""
        self._made = made
        self._pages: list[Page] = []
        self._starts = array("Q", [0])
        """By page; the last one is the number of all rows."""
        self._seen: OrderedDict[int, list[Fields]] = OrderedDict()

    def add(self, pages: Iterable[Page]) -> None:
        """Put pages at the end."""
        for page in pages:
            self._pages.append(page)
            self._starts.append(self._starts[-1] + page.count)

    @property
    def pages(self) -> Sequence[Page]:
        """Those that are there now."""
        return tuple(self._pages)

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: int, /) -> Row:
        number = bisect_right(self._starts, index) - 1
        if not 0 <= number < len(self._pages):
            raise IndexError(index)
        return self._made(self._unpacked(number)[index - self._starts[number]])

    def _unpacked(self, number: int) -> list[Fields]:
        rows = self._seen.pop(number, None)
        if rows is None:
            rows = self._pages[number].rows()
        self._seen[number] = rows
        if len(self._seen) > _UNPACKED:
            self._seen.popitem(last=False)
        return rows


class Picked:
    """Implements Rows: some rows of others, in an order of its own."""

    def __init__(self, rows: Rows, numbers: "array[int]") -> None:
        self._rows = rows
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int, /) -> Row:
        return self._rows[self.numbers[index]]


def matching(pages: Sequence[Page], text: str, first: int = 0) -> "array[int]":
    """The numbers of the rows that have a text in any field, in any case; the first page begins with number `first`."""
    wanted, found, start = text.lower(), array("Q"), first
    plain = wanted.encode() if wanted.isascii() and wanted.replace(" ", "").isalnum() else b""
    for page in pages:
        if plain in page.plain().lower():
            found.extend(start + n for n, fields in enumerate(page.rows()) if _has(fields, wanted))
        start += page.count
    return found


def _has(fields: Fields, wanted: str) -> bool:
    return any(wanted in field.lower() for field in fields if isinstance(field, str))


def ordered(
    pages: Sequence[Page], rank: Callable[[Fields], float | str | None], among: "array[int] | None"
) -> "array[int]":
    """The numbers of rows by their rank, numbers from the greatest, texts from A, None at the end; of all, or of some.

    A column is numbers or texts, never both.
    """
    ranks = [rank(fields) for fields in _all(pages)]
    numbers = among if among is not None else array("Q", range(len(ranks)))
    known = [n for n in numbers if ranks[n] is not None]
    known.sort(key=lambda n: ranks[n], reverse=any(isinstance(ranks[n], float) for n in known[:1]))  # type: ignore[arg-type,return-value]  # None is left out, and a column is of one type
    return array("Q", [*known, *(n for n in numbers if ranks[n] is None)])


def place_of(pages: Sequence[Page], numbers: "array[int]", key: str) -> int | None:
    """Where the row of a key is among those that were picked; None where it is not."""
    for number, fields in enumerate(_all(pages)):
        if fields[0] == key:
            return numbers.index(number) if number in numbers else None
    return None


def _all(pages: Sequence[Page]) -> Iterator[Fields]:
    return (fields for page in pages for fields in page.rows())

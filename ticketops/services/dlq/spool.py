"""Chosen items between a plan and its operation: in memory while they are few, else in a file without a name."""

import pickle
import tempfile
from collections.abc import Iterator
from operator import attrgetter
from types import TracebackType
from typing import Final, Self

from ticketops.domain.deadletters import Outcome
from ticketops.domain.operations import FrozenItem

_Parts = tuple[str, str, str, str, str, Outcome | None, str]
_IN_MEMORY: Final = 4_000_000
"""Bytes."""
_PAGE: Final = 1000
"""Items that are written as one."""
_parts: Final = attrgetter("queue", "id", "digest", "origin", "key", "left", "detail")
"""What an item is made of: plain tuples are written and read at a third of what dataclasses cost."""


class Spool:
    """Items in the order they were added."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - `close` closes it
        self._page: list[FrozenItem] = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    def add(self, item: FrozenItem) -> None:
        """Keep one more."""
        self._page.append(item)
        self._count += 1
        if len(self._page) == _PAGE:
            self._write()

    def __iter__(self) -> Iterator[FrozenItem]:
        """All of them; one reader at a time, and nothing is added meanwhile."""
        self._write()
        self._file.seek(0)
        while True:
            try:
                page = pickle.load(self._file)  # noqa: S301 - nobody else can write to this file
            except EOFError:
                return
            yield from map(_item, page)

    def close(self) -> None:
        """Give the space back; idempotent."""
        self._file.close()

    def _write(self) -> None:
        if self._page:
            pickle.dump(list(map(_parts, self._page)), self._file, pickle.HIGHEST_PROTOCOL)
            self._page = []


def _item(parts: _Parts) -> FrozenItem:
    queue, id_, digest, origin, key, left, detail = parts
    return FrozenItem(queue=queue, id=id_, digest=digest, origin=origin, key=key, left=left, detail=detail)

"""The port Annotations over the tables."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, func, select, update

from ticketops.backends.store.letters import pack, unpack
from ticketops.backends.store.place import Place
from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.operations import Archived, Edit, Hold, Operation, key_of

_MANY = 500
"""Items that one statement names."""
_NAMED = 20
"""Items up to which naming them costs nothing."""
_FEW = 1000
"""Holds of a queue that are read as a whole."""
_PAGE = 500
"""Archived items that are looked up at a time."""
_PAGE_BYTES = 8_000_000
"""Bytes of archived items that are read at a time, where one is not larger."""


class SqlAnnotations:
    """Implements ports.Annotations; one instance serves one thread."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._holds, self._archive, self._edits = place.tables.holds, place.tables.archive, place.tables.edits

    def hold(self, holds: Sequence[Hold]) -> None:
        """See ports.Annotations."""
        with self._place.writing() as connection:
            for one in holds:
                values = {"note": one.note, "actor": one.actor, "at": one.at}
                added = self._place.upsert(self._holds).values(
                    item_key=key_of(one.queue, one.id), queue=one.queue, item=one.id, **values
                )
                connection.execute(added.on_conflict_do_update(index_elements=["item_key"], set_=values))

    def release(self, queue: str, ids: Sequence[str]) -> int:
        """See ports.Annotations."""
        return self._delete(self._holds, queue, ids)

    def held(self, queue: str, ids: Sequence[str] | None = None) -> dict[str, Hold]:
        """See ports.Annotations."""
        with self._place.reading() as connection:
            rows = self._held(connection, queue, ids)
        return {row.item: Hold(queue=queue, id=row.item, note=row.note, actor=row.actor, at=row.at) for row in rows}

    def _held(self, connection: Connection, queue: str, ids: Sequence[str] | None) -> list[Row[Any]]:
        """Mostly little is held: then all of it is read, which costs less than naming many ids."""
        h, wanted = self._holds, set(ids or ())
        every = select(h).where(h.c.queue == queue).order_by(h.c.at)
        if ids is None:
            return list(connection.execute(every))
        few = list(connection.execute(every.limit(_FEW + 1))) if len(ids) > _NAMED else []
        if len(ids) > _NAMED and len(few) <= _FEW:
            return [row for row in few if row.item in wanted]
        return [row for named in _named(h, queue, ids) for row in connection.execute(select(h).where(named))]

    def archive(self, operation: Operation, letters: Sequence[DeadLetter]) -> None:
        """See ports.Annotations."""
        a = self._archive
        with self._place.writing() as connection:
            now = self._place.clock(connection)
            for letter in letters:
                values = {"actor": operation.actor, "reason": operation.reason, "at": now, "letter": pack(letter)}
                added = self._place.upsert(a).values(
                    item_key=key_of(letter.queue, letter.id),
                    operation=operation.id,
                    queue=letter.queue,
                    item=letter.id,
                    **values,
                )
                again = {"index_elements": ["item_key", "operation"], "set_": values, "where": ~a.c.settled}
                connection.execute(added.on_conflict_do_update(**again))

    def settle(self, operation: UUID, queue: str, ids: Sequence[str], *, removed: bool) -> None:
        """See ports.Annotations."""
        a = self._archive
        with self._place.writing() as connection:
            for named in _named(a, queue, ids):
                ours = (named, a.c.operation == operation, ~a.c.settled)
                if not removed:
                    connection.execute(delete(a).where(*ours))
                    continue
                settled = select(a.c.item_key).where(*ours)
                keys = list(connection.execute(settled).scalars())
                connection.execute(delete(a).where(a.c.item_key.in_(keys), a.c.operation != operation))
                connection.execute(update(a).where(*ours).values(settled=True))

    def archived(self, queue: str, ids: Sequence[str] | None = None) -> Iterator[tuple[Archived, DeadLetter]]:
        """See ports.Annotations; read in pages bounded by their bytes."""
        if ids is None:
            yield from self._all_archived(queue)
            return
        a = self._archive
        found: list[tuple[int, int]] = []
        with self._place.reading() as connection:
            for named in _named(a, queue, ids):
                sized = select(a.c.seq, func.length(a.c.letter)).where(named)
                found += [(row[0], row[1]) for row in connection.execute(sized)]
        yield from self._letters(sorted(found))

    def _all_archived(self, queue: str) -> Iterator[tuple[Archived, DeadLetter]]:
        a, last = self._archive, 0
        while True:
            page = select(a.c.seq, func.length(a.c.letter)).where(a.c.queue == queue, a.c.seq > last)
            with self._place.reading() as connection:
                found = [(row[0], row[1]) for row in connection.execute(page.order_by(a.c.seq).limit(_PAGE))]
            if not found:
                return
            yield from self._letters(found)
            last = found[-1][0]

    def _letters(self, sized: Sequence[tuple[int, int]]) -> Iterator[tuple[Archived, DeadLetter]]:
        a = self._archive
        for seqs in _pages(sized):
            with self._place.reading() as connection:
                rows = connection.execute(select(a).where(a.c.seq.in_(seqs)).order_by(a.c.seq)).all()
            for row in rows:
                yield _archived(row), unpack(row.letter)

    def unarchive(self, queue: str, ids: Sequence[str]) -> int:
        """See ports.Annotations."""
        a = self._archive
        count = 0
        with self._place.writing() as connection:
            for named in _named(a, queue, ids):
                items = select(func.count(a.c.item_key.distinct())).where(named)
                count += connection.execute(items).scalar_one()
                connection.execute(delete(a).where(named))
        return count

    def edited(self, edit: Edit) -> None:
        """See ports.Annotations."""
        values = {"actor": edit.actor, "reason": edit.reason, "at": edit.at, "before": edit.before, "after": edit.after}
        added = self._place.upsert(self._edits).values(
            item_key=key_of(edit.queue, edit.id), operation=edit.operation, queue=edit.queue, item=edit.id, **values
        )
        with self._place.writing() as connection:
            connection.execute(added.on_conflict_do_update(index_elements=["item_key", "operation"], set_=values))

    def unedited(self, operation: UUID, queue: str, item: str) -> None:
        """See ports.Annotations."""
        e = self._edits
        with self._place.writing() as connection:
            connection.execute(delete(e).where(e.c.item_key == key_of(queue, item), e.c.operation == operation))

    def edits(self, queue: str, ids: Sequence[str]) -> dict[str, tuple[Edit, ...]]:
        """See ports.Annotations."""
        e = self._edits
        found: dict[str, tuple[Edit, ...]] = {}
        with self._place.reading() as connection:
            for named in _named(e, queue, ids):
                for row in connection.execute(select(e).where(named).order_by(e.c.seq)):
                    found[row.item] = (*found.get(row.item, ()), _edit(row))
        return found

    def close(self) -> None:
        """See ports.Annotations."""
        self._place.close()

    def _delete(self, table: Table, queue: str, ids: Sequence[str]) -> int:
        with self._place.writing() as connection:
            return sum(connection.execute(delete(table).where(named)).rowcount for named in _named(table, queue, ids))


def _named(table: Table, queue: str, ids: Iterable[str]) -> Iterator[ColumnElement[bool]]:
    """Conditions that together name these items, each of them once."""
    rest = iter(dict.fromkeys(ids))
    while chunk := list(islice(rest, _MANY)):
        yield table.c.item_key.in_([key_of(queue, item) for item in chunk])


def _pages(sized: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    page: list[int] = []
    total = 0
    for seq, size in sized:
        if page and total + size > _PAGE_BYTES:
            yield page
            page, total = [], 0
        page.append(seq)
        total += size
    if page:
        yield page


def _archived(row: Row[Any]) -> Archived:
    return Archived(
        queue=row.queue,
        id=row.item,
        operation=row.operation,
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        settled=row.settled,
    )


def _edit(row: Row[Any]) -> Edit:
    return Edit(
        queue=row.queue,
        id=row.item,
        operation=row.operation,
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        before=row.before,
        after=row.after,
    )

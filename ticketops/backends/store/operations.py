"""The port OperationStore over the tables."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from ticketops.backends.store import audit, operation_results
from ticketops.backends.store.operation_rows import (
    ids_between,
    item_columns,
    item_values,
    operation_values,
    to_counts,
    to_item,
    to_operation,
)
from ticketops.backends.store.place import Place
from ticketops.domain.deadletters import Outcome, Result
from ticketops.domain.operations import (
    ENDED,
    AuditEntry,
    FrozenItem,
    Operation,
    OperationItem,
    OperationState,
    Verb,
    cancel_entry,
    cancel_note,
    end_entry,
    item_entry,
    item_target,
    key_of,
    requeued_by_queue,
    start_entry,
)
from ticketops.errors import NotFoundError, RefusedError, UsageError

_LOAD = 5000
"""Items that are written at a time when an operation is stored."""
_PAGE = 2000
"""Items that are read at a time."""
_FEW = 100
"""The fewest that are looked at for one without a result."""
_DROP = 20_000
"""Items that are dropped in one transaction."""
_LIST = "`ticketops ops list` shows them"


@dataclass(slots=True)
class _Freezing:
    """Items on their way into an operation; each is made a row while the place takes those before it."""

    seq: int
    rest: Iterator[FrozenItem]
    total: int = 0
    left: list[operation_results.Numbered] = field(default_factory=list)
    """Results from the start of those that are left as they are."""

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The next rows of operation_items."""
        for item in islice(self.rest, _LOAD):
            self.total += 1
            if item.left:
                self.left.append((self.total, Result(item.id, item.left, item.detail)))
            yield item_values(self.seq, self.total, item)

    def taken_left(self) -> list[operation_results.Numbered]:
        """The results that came with the last rows."""
        taken, self.left = self.left, []
        return taken


class SqlOperationStore:
    """Implements ports.OperationStore; one instance serves one thread."""

    def __init__(self, place: Place) -> None:
        self._place = place
        tables = place.tables
        self._operations, self._items, self._results, self._audit = (
            tables.operations,
            tables.items,
            tables.results,
            tables.audit,
        )

    @property
    def place(self) -> str:
        """See ports.OperationStore."""
        return self._place.name

    @property
    def shared(self) -> bool:
        """See ports.OperationStore."""
        return self._place.shared

    def now(self) -> datetime:
        """See ports.OperationStore."""
        with self._place.reading() as connection:
            return self._place.clock(connection)

    def create(self, operation: Operation, items: Iterable[FrozenItem]) -> Operation:
        """See ports.OperationStore."""
        o = self._operations
        with self._place.writing(bounded=False) as connection:
            made = connection.execute(insert(o).values(operation_values(operation)))
            seq = made.inserted_primary_key[0]  # type: ignore[index]  # an insert of one row has one
            total, counts = self._freeze(connection, seq, operation.created_at, items)
            change = update(o).where(o.c.seq == seq).values(total=total, counts=_stored(counts))
            connection.execute(change)
            stored = to_operation(connection.execute(select(o).where(o.c.seq == seq)).one())
            audit.write(connection, self._audit, start_entry(stored))
        return stored

    def _freeze(
        self, connection: Connection, seq: int, at: datetime, items: Iterable[FrozenItem]
    ) -> tuple[int, dict[Outcome, int]]:
        freezing, before, counts = _Freezing(seq, iter(items)), -1, dict[Outcome, int]()
        while before != freezing.total:
            before = freezing.total
            self._place.load(connection, self._items, freezing.rows())
            if left := freezing.taken_left():
                self._load_results(connection, seq, left, at, counts)
        return freezing.total, counts

    def _load_results(
        self,
        connection: Connection,
        seq: int,
        results: Iterable[operation_results.Numbered],
        at: datetime,
        counts: dict[Outcome, int],
    ) -> None:
        """Write results, which come by ascending number, and count them."""
        rows = list(operation_results.rows_of(seq, results, at))
        self._place.load(connection, self._results, rows)
        for _, _, word, _, _, span in rows:
            outcome = Outcome(word)
            counts[outcome] = counts.get(outcome, 0) + span

    def find(self, text: str) -> Operation:
        """See ports.OperationStore."""
        between = ids_between(text)
        if between is None:
            raise NotFoundError(f"there is no operation {text}", hint=_LIST)
        o = self._operations
        with self._place.reading() as connection:
            rows = connection.execute(select(o).where(o.c.id.between(*between)).order_by(o.c.id).limit(2)).all()
        if not rows:
            raise NotFoundError(f"there is no operation {text}", hint=_LIST)
        if len(rows) > 1:
            raise UsageError(f"{text} names more than one operation", hint="give more of the id")
        return to_operation(rows[0])

    def recent(self, *, state: OperationState | None = None, queue: str | None = None, limit: int) -> list[Operation]:
        """See ports.OperationStore."""
        o = self._operations
        query = select(o).order_by(o.c.seq.desc())
        if state is not None:
            query = query.where(o.c.state == state.value)
        streamed = {"yield_per": 100}
        with self._place.reading() as connection, connection.execute(query, execution_options=streamed) as rows:
            found = (to_operation(row) for row in rows if queue is None or queue in row.queues)
            return list(islice(found, limit))

    def claim(self, operation: UUID, runner: str, ttl: float) -> bool:
        """See ports.OperationStore."""
        with self._place.writing() as connection:
            row = self._locked(connection, operation)
            current, now = to_operation(row), self._place.clock(connection)
            if current.runner != runner and current.worked_on(now):
                return False
            if current.state not in ENDED and not row.cancel_asked:
                values = {"state": OperationState.RUNNING.value, "ended_at": None, "note": ""}
                lease = {"runner": runner, "runner_until": now + timedelta(seconds=ttl), "runner_ttl": ttl}
                self._update(connection, row, values | lease)
                return True
            if current.state not in ENDED:
                current = self._close(connection, row, OperationState.CANCELLED, current.note)
        raise _over(current)

    def pending(self, operation: UUID, limit: int, after: int = 0) -> list[OperationItem]:
        """See ports.OperationStore."""
        o = self._operations
        with self._place.reading() as connection:
            found = connection.execute(select(o.c.seq, o.c.first_open, o.c.total).where(o.c.id == operation))
            row = _known(found, operation)
            return list(islice(self._open(connection, row, max(limit, _FEW), after), limit))

    def _open(self, connection: Connection, row: Row[Any], size: int, after: int = 0) -> Iterator[OperationItem]:
        """Items without a result; none of them is before `first_open`."""
        for first in range(max(row.first_open, after + 1), row.total + 1, size):
            for item in self._page(connection, row.seq, first, first + size - 1):
                if item.outcome is None:
                    yield item

    def _page(self, connection: Connection, seq: int, first: int, last: int) -> list[OperationItem]:
        """Items of a range; joined here, since a plan without statistics may read every result for each."""
        i = self._items
        query = select(*item_columns(i)).where(i.c.operation == seq, i.c.number.between(first, last))
        rows = connection.execute(query.order_by(i.c.number)).all()
        known = operation_results.within(connection, self._results, seq, first, last)
        return [to_item(row, known.get(row.number)) for row in rows]

    def record(self, operation: UUID, runner: str, results: Mapping[int, Result]) -> bool:
        """See ports.OperationStore."""
        with self._place.writing() as connection:
            row = self._locked(connection, operation)
            _check_runner(row, runner)
            now = self._place.clock(connection)
            values = self._add(connection, row, results, now) if results else {}
            if row.runner == runner:
                values["runner_until"] = now + timedelta(seconds=row.runner_ttl)
            self._update(connection, row, values)
        return not row.cancel_asked

    def _add(
        self, connection: Connection, row: Row[Any], results: Mapping[int, Result], now: datetime
    ) -> dict[str, Any]:
        """Write results that are new; what changes in the operation."""
        known = operation_results.within(connection, self._results, row.seq, min(results), max(results))
        new = [(number, results[number]) for number in sorted(results) if number not in known]
        counts = to_counts(row.counts)
        self._load_results(connection, row.seq, new, now, counts)
        return {"counts": _stored(counts), "first_open": self._first_open(connection, row, {*results, *known})}

    def _first_open(self, connection: Connection, row: Row[Any], done: set[int]) -> int:
        number: int = row.first_open
        while number in done:
            number += 1
        if number > row.first_open or number > row.total:
            return number
        found = next(self._open(connection, row, _FEW), None)
        return row.total + 1 if found is None else found.number

    def end(self, operation: UUID, runner: str, state: OperationState, note: str = "") -> Operation:
        """See ports.OperationStore."""
        with self._place.writing() as connection:
            row = self._locked(connection, operation)
            _check_runner(row, runner)
            current = to_operation(row)
            if current.state not in ENDED:
                return self._close(connection, row, state, note or (current.note if row.cancel_asked else ""))
        if current.state is state:
            return current
        raise _over(current)

    def _close(self, connection: Connection, row: Row[Any], state: OperationState, note: str) -> Operation:
        now = self._place.clock(connection)
        values = {"state": state.value, "note": note, "ended_at": now, "runner": "", "runner_until": None}
        closed = self._update(connection, row, values)
        audit.write(connection, self._audit, end_entry(closed, now))
        return closed

    def cancel(self, operation: UUID, actor: str, reason: str) -> Operation:
        """See ports.OperationStore."""
        with self._place.writing() as connection:
            row = self._locked(connection, operation)
            current, now = to_operation(row), self._place.clock(connection)
            if current.state in ENDED:
                raise _over(current)
            note = cancel_note(actor, reason)
            asked = self._update(connection, row, {"cancel_asked": True, "note": note})
            if not current.worked_on(now):
                asked = self._close(connection, row, OperationState.CANCELLED, note)
            audit.write(connection, self._audit, cancel_entry(asked, actor, reason, now))
        return asked

    def items(self, operation: UUID) -> Iterator[OperationItem]:
        """See ports.OperationStore; read in pages, so that no transaction stays open."""
        o, last = self._operations, 0
        with self._place.reading() as connection:
            row = _known(connection.execute(select(o.c.seq).where(o.c.id == operation)), operation)
        while True:
            with self._place.reading() as connection:
                found = self._page(connection, row.seq, last + 1, last + _PAGE)
            if not found:
                return
            yield from found
            last += _PAGE

    def history(self, queue: str, item: str, origin: str) -> list[AuditEntry]:
        """See ports.OperationStore."""
        with self._place.reading() as connection:
            found = self._done(connection, self._deaths(connection, queue, item, origin))
            log = audit.of_targets(connection, self._audit, [item_target(queue, one) for one in (item, origin)])
            o, seqs = self._operations, {seq for seq, _ in found}
            owners = connection.execute(select(o).where(o.c.seq.in_(seqs))) if seqs else ()
            operations = {row.seq: to_operation(row) for row in owners}
        results = [item_entry(operations[seq], one) for seq, one in found]
        return sorted(log + results, key=lambda entry: entry.at)

    def _done(self, connection: Connection, rows: Iterable[Row[Any]]) -> list[tuple[int, OperationItem]]:
        """Those of a few items that have a result, with the number of their operation."""
        found = list[tuple[int, OperationItem]]()
        for row in rows:
            results = operation_results.within(connection, self._results, row.operation, row.number, row.number)
            if results:
                found.append((row.operation, to_item(row, results[row.number])))
        return found

    def _deaths(self, connection: Connection, queue: str, item: str, origin: str) -> list[Row[Any]]:
        """The rows of an item, and of its other deaths."""
        i = self._items
        item_key, origin_key = key_of(queue, item), key_of(queue, origin)
        same = or_(
            i.c.item_key == item_key,
            and_(i.c.item_key == origin_key, i.c.origin.is_(None)),
            i.c.origin_key == origin_key,
        )
        return list(connection.execute(select(*item_columns(i)).where(same).order_by(i.c.operation, i.c.number)))

    def audit(self, entry: AuditEntry) -> None:
        """See ports.OperationStore."""
        with self._place.writing() as connection:
            audit.write(connection, self._audit, entry)

    def log(self, *, since: datetime | None = None, limit: int) -> list[AuditEntry]:
        """See ports.OperationStore."""
        with self._place.reading() as connection:
            return audit.newest(connection, self._audit, since, limit)

    def requeued(self) -> dict[str, int]:
        """See ports.OperationStore."""
        o = self._operations
        query = select(o.c.queues, o.c.counts).where(o.c.verb == Verb.REQUEUE.value)
        streamed = {"yield_per": 1000}
        with self._place.reading() as connection, connection.execute(query, execution_options=streamed) as rows:
            return requeued_by_queue((row.queues, row.counts) for row in rows)

    def forget(self, before: datetime, limit: int) -> int:
        """See ports.OperationStore."""
        o = self._operations
        ended = o.c.state.in_(sorted(state.value for state in ENDED))
        old = select(o.c.seq, o.c.total).where(ended, o.c.items_kept, o.c.ended_at < before, o.c.total > 0)
        with self._place.reading() as connection:
            chosen = connection.execute(old.order_by(o.c.seq).limit(limit)).all()
        for seq, total in chosen:
            self._drop_items(seq, total)
        return len(chosen)

    def _drop_items(self, seq: int, total: int) -> None:
        o = self._operations
        for first in range(1, total + 1, _DROP):
            with self._place.writing() as connection:
                for table in (self._items, self._results):
                    of_range = table.c.number.between(first, first + _DROP - 1)
                    connection.execute(delete(table).where(table.c.operation == seq, of_range))
        with self._place.writing() as connection:
            connection.execute(update(o).where(o.c.seq == seq).values(items_kept=False))

    def close(self) -> None:
        """See ports.OperationStore."""
        self._place.close()

    def _locked(self, connection: Connection, operation: UUID) -> Row[Any]:
        o = self._operations
        return _known(connection.execute(select(o).where(o.c.id == operation).with_for_update()), operation)

    def _update(self, connection: Connection, row: Row[Any], values: Mapping[str, Any]) -> Operation:
        o = self._operations
        if values:
            connection.execute(update(o).where(o.c.seq == row.seq).values(values))
        return to_operation(connection.execute(select(o).where(o.c.seq == row.seq)).one())


def _known(found: Any, operation: UUID) -> Row[Any]:  # noqa: ANN401 - the result of any select
    row: Row[Any] | None = found.first()
    if row is None:
        raise NotFoundError(f"there is no operation {operation}", hint=_LIST)
    return row


def _check_runner(row: Row[Any], runner: str) -> None:
    if row.runner not in {"", runner}:
        raise RefusedError(f"operation {row.id} is run by {row.runner}", why="the lease was over")


def _over(operation: Operation) -> RefusedError:
    return RefusedError(f"operation {operation.id} is {operation.state}", why=operation.note)


def _stored(counts: Mapping[Outcome, int]) -> dict[str, int]:
    return {outcome.value: number for outcome, number in counts.items()}

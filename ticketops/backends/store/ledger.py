"""The port Ledger over the tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, CursorResult, and_, bindparam, delete, func, or_, select, update
from sqlalchemy import Row as Fetched

from ticketops.backends.store.ledger_tables import OPEN_ONES, LedgerTables
from ticketops.backends.store.place import Place as Store
from ticketops.domain.deadletters import Narrowing
from ticketops.domain.ledger import UNSETTLED, Entry, Log, Place, RecordState, Row, Span

_OPENED: Mapping[str, Any] = {
    "state": RecordState.OPEN.value,
    "operation": None,
    "actor": "",
    "changed_at": None,
    "bounds": "",
    "sent_to": "",
}


class StoredLedger:
    """Implements ports.Ledger; `store` may be shared with the operations."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tables: LedgerTables = store.tables.ledger
        self._ids: dict[Log, int] = {}

    @property
    def where(self) -> str:
        """See Ledger."""
        return self._store.name

    @property
    def shared(self) -> bool:
        """See Ledger."""
        return self._store.shared

    def now(self) -> datetime:
        """See Ledger."""
        with self._store.reading() as connection:
            return self._store.clock(connection)

    def begin(self, log: Log, incarnation: str) -> bool:
        """See Ledger."""
        logs = self._tables.logs
        with self._alone(log) as (connection, number):
            known = connection.execute(select(logs.c.incarnation).where(logs.c.id == number)).scalar_one()
            if not incarnation or known == incarnation:
                return False
            connection.execute(update(logs).where(logs.c.id == number).values(incarnation=incarnation))
            if not known:
                return False
            for table in (self._tables.records, self._tables.positions):
                connection.execute(delete(table).where(table.c.log == number))
            return True

    def positions(self, log: Log) -> dict[int, int]:
        """See Ledger."""
        number = self._number(log)
        with self._store.reading() as connection:
            return self._positions(connection, number)

    def add(self, log: Log, entries: Sequence[Entry], spans: Mapping[int, Span]) -> None:
        """See Ledger."""
        with self._alone(log) as (connection, number):
            known = self._positions(connection, number)
            new = (entry for entry in entries if entry.place.offset >= known.get(entry.place.partition, 0))
            self._store.load(connection, self._tables.records, (_values(number, entry) for entry in new))
            ahead = {p: span.next for p, span in spans.items() if span.next > known.get(p, -1)}
            self._set_positions(connection, number, ahead)

    def rewind(self, log: Log, partition: int, offset: int) -> int:
        """See Ledger."""
        own = self._tables.records.c
        with self._alone(log) as (connection, number):
            behind = min(self._positions(connection, number).get(partition, 0), offset)
            self._set_positions(connection, number, {partition: behind})
            gone = and_(own.log == number, own.partition == partition, own.offset >= offset)
            return _affected(connection.execute(delete(self._tables.records).where(gone)))

    def page(self, log: Log, partition: int, after: int, limit: int, narrowing: Narrowing) -> list[Row]:
        """See Ledger."""
        own, number = self._tables.records.c, self._number(log)
        with self._store.reading() as connection:
            query = (
                select(*_read(self._tables))
                .where(own.log == number, own.partition == partition, own.offset > after)
                .where(OPEN_ONES, *_meant(self._tables, narrowing))
                .order_by(own.offset)
                .limit(limit)
            )
            return [_row(fetched) for fetched in connection.execute(query)]

    def find(self, log: Log, places: Sequence[Place]) -> dict[Place, Row]:
        """See Ledger."""
        number = self._number(log)
        with self._store.reading() as connection:
            return self._find(connection, number, places)

    def count(self, log: Log) -> int:
        """See Ledger."""
        query = select(func.count()).select_from(self._tables.records)
        number = self._number(log)
        with self._store.reading() as connection:
            return int(connection.execute(query.where(self._unsettled(number))).scalar_one())

    def newest(self, log: Log) -> datetime | None:
        """See Ledger."""
        time = self._tables.records.c.failed_at
        query = select(func.max(time, type_=time.type)).where(self._unsettled(self._number(log)))
        with self._store.reading() as connection:
            found: datetime | None = connection.execute(query).scalar_one()
            return found

    def families(self, log: Log) -> dict[str, int]:
        """See Ledger."""
        return self._counted(log, self._tables.records.c.family)

    def destinations(self, log: Log) -> dict[str, int]:
        """See Ledger."""
        return self._counted(log, self._tables.records.c.destination)

    def _counted(self, log: Log, column: ColumnElement[str]) -> dict[str, int]:
        query = select(column, func.count()).where(self._unsettled(self._number(log))).group_by(column)
        with self._store.reading() as connection:
            return {name: int(number) for name, number in connection.execute(query)}

    def groups(self, log: Log, destination: str) -> set[str]:
        """See Ledger."""
        own = self._tables.records.c
        query = select(own.consumer_group).distinct().where(own.log == self._number(log))
        query = query.where(own.destination == destination, own.consumer_group != "")
        with self._store.reading() as connection:
            return set(connection.execute(query).scalars())

    def sent(self, cluster: str, positions: Sequence[str]) -> dict[str, Row]:
        """See Ledger."""
        if not positions:
            return {}
        own, logs = self._tables.records.c, self._tables.logs.c
        query = (
            select(*_read(self._tables))
            .join(self._tables.logs, logs.id == own.log)
            .where(logs.cluster == cluster, own.sent_to != "", own.sent_to.in_(list(positions)))
        )
        with self._store.reading() as connection:
            return {row.sent_to: row for row in map(_row, connection.execute(query))}

    def claim(
        self, log: Log, operation: UUID, actor: str, wanted: Mapping[Place, str], bounds: str
    ) -> dict[Place, Row]:
        """See Ledger."""
        change = {"state": RecordState.CLAIMED.value, "operation": operation, "actor": actor, "bounds": bounds}
        return self._take(log, wanted, change)

    def discard(self, log: Log, operation: UUID, actor: str, wanted: Mapping[Place, str]) -> dict[Place, Row]:
        """See Ledger."""
        change = {"state": RecordState.DISCARDED.value, "operation": operation, "actor": actor}
        return self._take(log, wanted, change)

    def _take(self, log: Log, wanted: Mapping[Place, str], change: Mapping[str, Any]) -> dict[Place, Row]:
        number = self._number(log)
        with self._store.writing() as connection:
            found = self._find(connection, number, list(wanted), lock=True)
            free = [p for p, row in found.items() if row.state is RecordState.OPEN and row.digest == wanted[p]]
            if not free:
                return found
            values = {**change, "changed_at": self._store.clock(connection)}
            connection.execute(update(self._tables.records).where(self._at(number, free)).values(values))
            return found | self._find(connection, number, free)

    def settle(self, log: Log, operation: UUID, sent: Mapping[Place, str]) -> None:
        """See Ledger."""
        if not sent:
            return
        own = self._tables.records.c
        number = self._number(log)
        with self._store.writing() as connection:
            query = (
                update(self._tables.records)
                .where(own.log == number, own.partition == bindparam("p"), own.offset == bindparam("o"))
                .where(own.state == RecordState.CLAIMED.value, own.operation == operation)
                .values(
                    state=RecordState.REQUEUED.value,
                    sent_to=bindparam("became"),
                    bounds="",
                    changed_at=self._store.clock(connection),
                )
            )
            connection.execute(
                query, [{"p": at.partition, "o": at.offset, "became": to} for at, to in sorted(sent.items())]
            )

    def unclaim(self, log: Log, operation: UUID, places: Sequence[Place]) -> None:
        """See Ledger."""
        own = self._tables.records.c
        claimed = and_(own.state == RecordState.CLAIMED.value, own.operation == operation)
        number = self._number(log)
        with self._store.writing() as connection:
            if places:
                query = update(self._tables.records).where(self._at(number, places), claimed)
                connection.execute(query.values(_OPENED))

    def reopen(self, log: Log, places: Sequence[Place]) -> set[Place]:
        """See Ledger."""
        number = self._number(log)
        with self._store.writing() as connection:
            found = self._find(connection, number, places, lock=True)
            settled = [place for place, row in found.items() if not row.unsettled]
            if settled:
                query = update(self._tables.records).where(self._at(number, settled))
                connection.execute(query.values(_OPENED))
            return set(settled)

    def replace(self, log: Log, operation: UUID, place: Place, digest: str, payload: bytes, new: str) -> bool:
        """See Ledger."""
        number = self._number(log)
        with self._store.writing() as connection:
            row = self._find(connection, number, [place], lock=True).get(place)
            if row is None or row.state is not RecordState.OPEN or row.digest != digest:
                return False
            query = update(self._tables.records).where(self._at(number, [place]))
            connection.execute(query.values(payload=payload, edit=operation, edited_digest=new))
            return True

    def claims(self, log: Log, before: datetime, limit: int) -> list[Row]:
        """See Ledger."""
        own = self._tables.records.c
        number = self._number(log)
        with self._store.reading() as connection:
            claimed = and_(own.state == RecordState.CLAIMED.value, own.changed_at < before)
            query = select(*_read(self._tables)).where(self._unsettled(number), claimed)
            ordered = query.order_by(own.changed_at, own.partition, own.offset).limit(limit)
            return [_row(fetched) for fetched in connection.execute(ordered)]

    def drop(self, log: Log, places: Sequence[Place]) -> int:
        """See Ledger."""
        if not places:
            return 0
        gone = self._at(self._number(log), places)
        with self._store.writing() as connection:
            return _affected(connection.execute(delete(self._tables.records).where(gone)))

    def forget(self, log: Log, partition: int, offset: int, before: datetime) -> int:
        """See Ledger."""
        own = self._tables.records.c
        number = self._number(log)
        with self._store.writing() as connection:
            settled = and_(own.state.not_in([state.value for state in UNSETTLED]), own.changed_at < before)
            gone = and_(own.log == number, own.partition == partition, own.offset < offset, settled)
            return _affected(connection.execute(delete(self._tables.records).where(gone)))

    def close(self) -> None:
        """See Ledger."""
        self._store.close()

    @contextmanager
    def _alone(self, log: Log) -> Iterator[tuple[Connection, int]]:
        """A transaction that no other change of this log's index runs beside."""
        logs = self._tables.logs.c
        number = self._number(log)
        with self._store.writing() as connection:
            connection.execute(select(logs.id).where(logs.id == number).with_for_update())
            yield connection, number

    def _number(self, log: Log) -> int:
        """The log's number in the tables, which it keeps; a transaction of its own."""
        if log in self._ids:
            return self._ids[log]
        logs = self._tables.logs
        query = select(logs.c.id).where(logs.c.cluster == log.cluster, logs.c.topic == log.topic)
        with self._store.reading() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is None:
            with self._store.writing() as connection:
                new = self._store.upsert(logs).values(cluster=log.cluster, topic=log.topic, incarnation="")
                connection.execute(new.on_conflict_do_nothing())
                found = connection.execute(query).scalar_one()
        self._ids[log] = int(found)
        return self._ids[log]

    def _positions(self, connection: Connection, number: int) -> dict[int, int]:
        own = self._tables.positions.c
        query = select(own.partition, own.next).where(own.log == number)
        return {int(partition): int(following) for partition, following in connection.execute(query)}

    def _set_positions(self, connection: Connection, number: int, ahead: Mapping[int, int]) -> None:
        if not ahead:
            return
        new = self._store.upsert(self._tables.positions)
        query = new.on_conflict_do_update(index_elements=["log", "partition"], set_={"next": new.excluded.next})
        connection.execute(query, [{"log": number, "partition": p, "next": n} for p, n in sorted(ahead.items())])

    def _find(
        self, connection: Connection, number: int, places: Sequence[Place], *, lock: bool = False
    ) -> dict[Place, Row]:
        """Locked in one order, so that two who lock the same do not wait for each other."""
        if not places:
            return {}
        own = self._tables.records.c
        query = select(*_read(self._tables)).where(self._at(number, places)).order_by(own.partition, own.offset)
        rows = (_row(fetched) for fetched in connection.execute(query.with_for_update() if lock else query))
        return {row.place: row for row in rows}

    def _at(self, number: int, places: Iterable[Place]) -> ColumnElement[bool]:
        own = self._tables.records.c
        by_partition = groupby(sorted(places), key=lambda place: place.partition)
        parts = [and_(own.partition == p, own.offset.in_([one.offset for one in some])) for p, some in by_partition]
        return and_(own.log == number, or_(*parts))

    def _unsettled(self, number: int) -> ColumnElement[bool]:
        return and_(self._tables.records.c.log == number, OPEN_ONES)


def _affected(result: CursorResult[Any]) -> int:
    return max(0, result.rowcount)


def _values(number: int, entry: Entry) -> tuple[Any, ...]:
    """A complete row in the order of the table's columns."""
    return (
        number,
        entry.place.partition,
        entry.place.offset,
        entry.failed_at,
        entry.key,
        entry.reason,
        entry.error_class,
        entry.message,
        entry.outline,
        entry.family,
        entry.origin,
        entry.destination,
        entry.group,
        entry.attempts,
        entry.requeues,
        entry.size,
        entry.digest,
        RecordState.OPEN.value,
        None,
        "",
        None,
        "",
        "",
        None,
        None,
        entry.digest,
    )


def _read(tables: LedgerTables) -> list[ColumnElement[Any]]:
    """The columns that `_row` takes, in its order: all but the log's number."""
    return [column for column in tables.records.c if column.name != "log"]


def _row(fetched: Fetched[Any]) -> Row:
    values = tuple(fetched)
    return Row(
        Entry(Place(values[0], values[1]), *values[2:16]),
        RecordState(values[16]),
        *values[17:25],
    )


def _meant(tables: LedgerTables, narrowing: Narrowing) -> list[ColumnElement[bool]]:
    """A record without a time is meant by every bound."""
    own = tables.records.c
    meant: list[ColumnElement[bool]] = []
    if narrowing.since:
        meant.append(or_(own.failed_at.is_(None), own.failed_at >= narrowing.since))
    if narrowing.until:
        meant.append(or_(own.failed_at.is_(None), own.failed_at < narrowing.until))
    if narrowing.reason is not None:
        meant.append(own.reason == narrowing.reason)
    if narrowing.key is not None:
        meant.append(own.key == narrowing.key)
    return meant

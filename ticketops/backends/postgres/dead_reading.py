"""Dead letters that are rows of a table: how they are read."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    LargeBinary,
    Row,
    Text,
    and_,
    cast,
    func,
    literal,
    select,
    text,
)

from ticketops.backends.postgres.admin_queries import ids_parameter
from ticketops.backends.postgres.dead_shape import BATCH, Shape, changes_table, pages, uuid_of
from ticketops.backends.postgres.session import bounded, engine
from ticketops.domain.deadletters import (
    BodyState,
    DeadLetter,
    Guarantee,
    Narrowing,
    QueueKind,
)
from ticketops.options import PostgresOptions

_APPLICATION = "ticketops dlq"
_ID_BYTES = 16


class DeadRowsReader(ABC):
    """The reading half of ports.DeadLetterQueue, but for what differs between the tables."""

    kind: QueueKind
    _told: tuple[str, ...]
    """The facts that are a letter's metadata."""

    def __init__(self, name: str, postgres: PostgresOptions) -> None:
        self._name = name
        self._postgres = postgres
        self._changes = changes_table(postgres.own_schema)

    @property
    def name(self) -> str:
        """See ports.DeadLetterQueue."""
        return self._name

    @property
    def guarantee(self) -> Guarantee:
        """See ports.DeadLetterQueue."""
        return Guarantee.EXACTLY_ONCE

    @property
    def batch(self) -> int:
        """See ports.DeadLetterQueue."""
        return BATCH

    @property
    @abstractmethod
    def _shape(self) -> Shape:
        """Made once, after a look at the table."""

    @cached_property
    def _engine(self) -> Engine:
        return engine(self._postgres, application=_APPLICATION)

    @contextmanager
    def _transaction(self, *, limited: bool = True) -> Iterator[Connection]:
        """Times are in UTC, so that rows have one text; with `limited` false it may take long."""
        seconds = self._postgres.answer_timeout + 1 if limited else 86_400.0
        with self._engine.begin() as connection, bounded(connection, seconds):
            connection.execute(text("SET LOCAL TIME ZONE 'UTC'"))
            yield connection

    def now(self) -> datetime:
        """See ports.DeadLetterQueue."""
        with self._transaction() as connection:
            moment: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
            return moment

    def count(self) -> int:
        """See ports.DeadLetterQueue."""
        shape = self._shape
        with self._transaction() as connection:
            query = select(func.count()).select_from(shape.source).where(shape.dead)
            return int(connection.execute(query).scalar_one())

    def newest_failure(self) -> datetime | None:
        """See ports.DeadLetterQueue."""
        shape = self._shape
        with self._transaction() as connection:
            query = select(func.max(shape.failed_at)).select_from(shape.source).where(shape.dead)
            moment: datetime | None = connection.execute(query).scalar_one()
            return moment

    def backlog(self, destination: str) -> int | None:
        """See ports.DeadLetterQueue."""
        shape = self._shape
        if destination != shape.scope:
            return None
        with self._transaction() as connection:
            query = select(func.count()).select_from(shape.source).where(shape.waiting)
            return int(connection.execute(query).scalar_one())

    def scan(self, narrowing: Narrowing) -> Iterator[DeadLetter]:
        """See ports.DeadLetterQueue.

        The ids are sorted by the server and read at once (20 bytes each), the items in pages: no transaction stays
        open meanwhile, and no page costs another sort.
        """
        ids, sizes = self._selected(narrowing)
        for first, last in pages(sizes, bodies=narrowing.bodies):
            page = [UUID(bytes=bytes(ids[n * _ID_BYTES : (n + 1) * _ID_BYTES])) for n in range(first, last)]
            yield from self._read(page, bodies=narrowing.bodies)

    def _selected(self, narrowing: Narrowing) -> tuple[bytearray, "array[int]"]:
        shape = self._shape
        binary = func.uuid_send(shape.id, type_=LargeBinary)
        query = select(binary, shape.size).select_from(shape.source).where(shape.dead, *self._conditions(narrowing))
        ids, sizes = bytearray(), array("L")
        with self._transaction(limited=False) as connection:
            ordered = query.order_by(shape.failed_at.asc().nulls_first(), shape.id)
            for item, size in connection.execute(ordered, execution_options={"yield_per": 10_000}):
                ids += item
                sizes.append(size or 0)
        return ids, sizes

    def _conditions(self, narrowing: Narrowing) -> Iterator[ColumnElement[bool]]:
        shape = self._shape
        if narrowing.since is not None:
            yield shape.failed_at >= narrowing.since
        if narrowing.until is not None:
            yield shape.failed_at < narrowing.until
        if narrowing.reason is not None:
            yield shape.reason == narrowing.reason
        if narrowing.key is not None:
            yield shape.key == narrowing.key

    def get(self, ids: Sequence[str]) -> Iterator[DeadLetter]:
        """See ports.DeadLetterQueue."""
        shape = self._shape
        wanted = [found for found in map(uuid_of, ids) if found is not None]
        for start in range(0, len(wanted), BATCH):
            chunk = wanted[start : start + BATCH]
            query = select(shape.id, shape.size).select_from(shape.source)
            with self._transaction() as connection:
                rows = connection.execute(query.where(shape.id == func.any(ids_parameter(chunk))))
                sizes = {row[0]: row[1] for row in rows}
            for first, last in pages([sizes.get(item) or 0 for item in chunk], bodies=True):
                yield from self._read(chunk[first:last], bodies=True)

    def _read(self, ids: list[UUID], *, bodies: bool) -> list[DeadLetter]:
        """Those of these items that are dead letters, in the order given."""
        shape = self._shape
        columns = [*self._columns, shape.payload.label("payload"), shape.stored.label("stored")]
        query = select(*(columns if bodies else self._columns)).select_from(self._with_changes)
        with self._transaction() as connection:
            rows = connection.execute(query.where(shape.id == func.any(ids_parameter(ids)), shape.dead))
            found = {row.id: self._complete(row, bodies=bodies) for row in rows}
        return [found[item] for item in ids if item in found]

    def _complete(self, row: Row[Any], *, bodies: bool) -> DeadLetter:
        unreadable, item = self._problem(row), str(row.id)
        payload = row.payload if bodies else None
        return DeadLetter(
            id=item,
            queue=self._name,
            kind=self.kind,
            key=row.key or "",
            origin=item,
            reason=row.reason,
            error_message=row.error or "",
            attempts=row.retry_count,
            requeues=row.requeues or 0,
            failed_at=row.failed_at,
            last_attempt_at=row.last_attempt_at,
            payload=None if payload is None else bytes(payload),
            metadata={name: str(value) for name in self._told if (value := getattr(row, name)) is not None},
            body=BodyState.UNREADABLE if unreadable else BodyState.PRESENT,
            problem=unreadable,
            destination=self._shape.scope,
            stored=row.stored.encode() if bodies else b"",
            digest=row.digest,
        )

    def _problem(self, row: Row[Any]) -> str:  # noqa: ARG002 - the outbox knows some
        """Why nothing takes this item; empty: it can be processed."""
        return ""

    @cached_property
    def _with_changes(self) -> FromClause:
        shape, c = self._shape, self._changes
        return shape.source.outerjoin(c, and_(c.c.scope == shape.scope, c.c.item == shape.id))

    @cached_property
    def _columns(self) -> list[ColumnElement[Any]]:
        shape = self._shape
        facts = [column.label(name) for name, column in shape.facts.items()]
        times = shape.failed_at.label("failed_at")
        requeues = self._changes.c.requeues.label("requeues")
        return [
            shape.id.label("id"), shape.key.label("key"), shape.reason.label("reason"), times, requeues,
            self._digest.label("digest"), *facts,
        ]  # fmt: skip

    @property
    def _digest(self) -> ColumnElement[str]:
        """Of all that is stored, and of the number of requeues: a later death never looks like an earlier one."""
        requeues = cast(func.coalesce(self._changes.c.requeues, 0), Text)
        whole = func.convert_to(self._shape.stored + literal("#") + requeues, "UTF8", type_=LargeBinary)
        return func.encode(func.sha256(whole), "hex", type_=Text)

    def close(self) -> None:
        """See ports.DeadLetterQueue."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

"""Dead letters that are rows of a table: how they are changed.

Every change is one transaction: rows are locked (those that somebody else has locked are left), then looked at in a
statement of its own, judged, changed, and remembered in dead_letter_changes.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    Uuid,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from ticketops.backends.postgres.admin_queries import ids_parameter
from ticketops.backends.postgres.dead_reading import DeadRowsReader
from ticketops.backends.postgres.dead_restore import Unfit
from ticketops.backends.postgres.dead_shape import uuid_of
from ticketops.domain.deadletters import (
    DeadLetter,
    Fault,
    Mark,
    Outcome,
    RequeueOrder,
    Result,
)
from ticketops.errors import BackendError, LockTimeout, SchemaError

_REQUEUE = "requeue"
_REMOVE = "remove"
_NOBODY = UUID(int=0)
"""The operation of an item that came from elsewhere with its count."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One item as it is now, locked."""

    dead: bool
    digest: str
    unreadable: str


@dataclass(frozen=True, slots=True)
class _Change:
    """What was done to an item last."""

    verb: str
    operation: UUID


class DeadRows(DeadRowsReader):
    """Implements ports.DeadLetterQueue, but for what differs between the tables."""

    @abstractmethod
    def _in_flight(self, connection: Connection) -> set[UUID]:
        """Items that a relay has in its hands."""

    @abstractmethod
    def _put_back(self, connection: Connection, ids: list[UUID]) -> None:
        """Let them be processed again, with their attempts reset."""

    def _together(self, connection: Connection, ids: list[UUID]) -> tuple[list[UUID], set[UUID]]:  # noqa: ARG002 - the outbox needs it
        """What has to be put back with these, locked; and which of these must wait, since that is not possible now."""
        return [], set()

    @abstractmethod
    def _delete(self, connection: Connection, ids: list[UUID]) -> None:
        """Remove them for good."""

    @abstractmethod
    def _change_payload(self, connection: Connection, item: UUID, payload: bytes) -> None:
        """Give an item another payload."""

    @abstractmethod
    def _restore(self, connection: Connection) -> Callable[[DeadLetter], bool]:
        """What brings items back; False where another row stands in the place of one. Raises Unfit."""

    @abstractmethod
    def faults(self, grace: float) -> Iterator[Fault]:
        """See ports.DeadLetterQueue."""

    @abstractmethod
    def mend(self, grace: float, progress: Callable[[Fault], None]) -> int:
        """See ports.DeadLetterQueue."""

    def requeue(self, order: RequeueOrder, marks: Sequence[Mark]) -> list[Result]:
        """See ports.DeadLetterQueue."""
        return self._change(_REQUEUE, order.operation, marks, self._put_back)

    def remove(self, operation: UUID, marks: Sequence[Mark]) -> list[Result]:
        """See ports.DeadLetterQueue."""
        return self._change(_REMOVE, operation, marks, self._delete)

    def _change(
        self, verb: str, operation: UUID, marks: Sequence[Mark], change: Callable[[Connection, list[UUID]], None]
    ) -> list[Result]:
        if not marks:
            return []
        with self._transaction() as connection:
            judge = self._judge(connection, verb, operation, [mark.id for mark in marks])
            results = [judge(mark) for mark in marks]
            chosen = _done(results)
            if chosen and verb == _REQUEUE:
                more, waiting = self._together(connection, chosen)
                results = [_busy(result) if uuid_of(result.id) in waiting else result for result in results]
                chosen = [*_done(results), *more]
            if chosen:
                change(connection, chosen)
                self._remember(connection, verb, operation, chosen)
        return results

    def _judge(
        self, connection: Connection, verb: str, operation: UUID, ids: Sequence[str]
    ) -> Callable[[Mark], Result]:
        """Lock what can be locked, and say of each item what is to come of it."""
        wanted = list(dict.fromkeys(found for found in map(uuid_of, ids) if found is not None))
        locked = self._lock(connection, wanted)
        there = self._existing(connection, [item for item in wanted if item not in locked])
        seen = self._look(connection, sorted(locked))
        changes = self._last_changes(connection, wanted)
        taken: set[UUID] = set()

        def judge(mark: Mark) -> Result:
            item = uuid_of(mark.id)
            if item is None:
                return Result(mark.id, Outcome.GONE)
            last = changes.get(item)
            if item in taken:
                return Result(mark.id, Outcome.ALREADY, str(operation))
            if last is not None and last == _Change(verb, operation):
                return Result(mark.id, Outcome.ALREADY, str(operation))
            if item in there:
                return Result(mark.id, Outcome.BUSY)
            result = _verdict(verb, mark, seen.get(item), last)
            if result.outcome is Outcome.DONE:
                taken.add(item)
            return result

        return judge

    def _lock(self, connection: Connection, ids: list[UUID]) -> set[UUID]:
        flying = self._in_flight(connection)
        free = [item for item in ids if item not in flying]
        shape = self._shape
        query = select(shape.id).select_from(shape.table).where(shape.id == func.any(ids_parameter(free)))
        return set(connection.execute(query.order_by(shape.id).with_for_update(skip_locked=True)).scalars())

    def _existing(self, connection: Connection, ids: list[UUID]) -> set[UUID]:
        shape = self._shape
        query = select(shape.id).select_from(shape.table).where(shape.id == func.any(ids_parameter(ids)))
        return set(connection.execute(query).scalars()) if ids else set()

    def _look(self, connection: Connection, ids: list[UUID]) -> dict[UUID, _Seen]:
        shape = self._shape
        columns = [*self._columns, shape.dead.label("dead")]
        query = select(*columns).select_from(self._with_changes).where(shape.id == func.any(ids_parameter(ids)))
        rows = connection.execute(query) if ids else ()
        return {row.id: _Seen(bool(row.dead), row.digest, self._problem(row)) for row in rows}

    def _last_changes(self, connection: Connection, ids: list[UUID]) -> dict[UUID, _Change]:
        c = self._changes
        of_ours = c.c.item == func.any(ids_parameter(ids))
        query = select(c.c.item, c.c.verb, c.c.operation).where(c.c.scope == self._shape.scope, of_ours)
        return {item: _Change(verb, operation) for item, verb, operation in connection.execute(query)}

    def _remember(self, connection: Connection, verb: str, operation: UUID, ids: list[UUID]) -> None:
        c, more = self._changes, int(verb == _REQUEUE)
        items = func.unnest(ids_parameter(ids)).column_valued("item")
        scope = cast(self._shape.scope, Text)
        rows = select(scope, items, literal(more), literal(verb), literal(operation, Uuid), func.clock_timestamp())
        added = upsert(c).from_select(["scope", "item", "requeues", "verb", "operation", "at"], rows)
        names = ("verb", "operation", "at")
        values = {name: added.excluded[name] for name in names} | {"requeues": c.c.requeues + more}
        connection.execute(added.on_conflict_do_update(index_elements=["scope", "item"], set_=values))

    def put(self, letters: Sequence[DeadLetter]) -> list[Result]:
        """See ports.DeadLetterQueue."""
        if not letters:
            return []
        with self._transaction() as connection:
            restore = self._restore(connection)
            return [self._put(connection, restore, letter) for letter in letters]

    def _put(self, connection: Connection, restore: Callable[[DeadLetter], bool], letter: DeadLetter) -> Result:
        item = uuid_of(letter.id)
        if item is None:
            return Result(letter.id, Outcome.FAILED, "its id is no UUID")
        if self._existing(connection, [item]):
            return Result(letter.id, Outcome.EXISTS)
        try:
            with connection.begin_nested():
                if not restore(letter):
                    return Result(letter.id, Outcome.FAILED, "another row stands in its place")
                self._check_dead(connection, item)
                self._count_restored(connection, item, letter.requeues)
        except (SchemaError, LockTimeout):
            raise
        except (Unfit, BackendError) as error:
            return Result(letter.id, Outcome.FAILED, str(error))
        return Result(letter.id, Outcome.DONE)

    def _check_dead(self, connection: Connection, item: UUID) -> None:
        """What comes back must not be processed before somebody requeues it."""
        seen = self._look(connection, [item]).get(item)
        if seen is None or not seen.dead:
            raise Unfit("what is stored of it is no dead letter of this table")

    def _count_restored(self, connection: Connection, item: UUID, requeues: int) -> None:
        """A letter from elsewhere brings its count along."""
        if not requeues:
            return
        c = self._changes
        values = {"scope": self._shape.scope, "item": item, "requeues": requeues, "verb": "put", "operation": _NOBODY}
        added = upsert(c).values(**values, at=func.clock_timestamp())
        most = func.greatest(c.c.requeues, requeues)
        connection.execute(added.on_conflict_do_update(index_elements=["scope", "item"], set_={"requeues": most}))

    def replace(self, operation: UUID, mark: Mark, payload: bytes) -> Result:
        """See ports.DeadLetterQueue."""
        if refused := self._refused(payload):
            return Result(mark.id, Outcome.UNREADABLE, refused)
        with self._transaction() as connection:
            item = uuid_of(mark.id)
            if item is not None and self._has_payload(connection, item, payload):
                return Result(mark.id, Outcome.DONE)
            result = self._judge(connection, "replace", operation, [mark.id])(mark)
            if result.outcome in {Outcome.DONE, Outcome.UNREADABLE} and item is not None:
                self._change_payload(connection, item, payload)
                return Result(mark.id, Outcome.DONE)
            return result

    def refusal(self, letter: DeadLetter, payload: bytes) -> str | None:  # noqa: ARG002 - a table takes the same for all
        """See ports.DeadLetterQueue."""
        return self._refused(payload) or None

    def _has_payload(self, connection: Connection, item: UUID, payload: bytes) -> bool:
        """True where a dead letter has this payload already."""
        shape = self._shape
        same = shape.payload == self._as_stored(payload)
        query = select(shape.id).select_from(shape.source).where(shape.id == item, shape.dead, same)
        return connection.execute(query).first() is not None

    @abstractmethod
    def _refused(self, payload: bytes) -> str:
        """Why nothing takes such a payload; empty: it is taken."""

    @abstractmethod
    def _as_stored(self, payload: bytes) -> ColumnElement[bytes]:
        """The bytes that the table makes of a payload."""


def _done(results: Sequence[Result]) -> list[UUID]:
    return [UUID(result.id) for result in results if result.outcome is Outcome.DONE]


def _busy(result: Result) -> Result:
    return Result(result.id, Outcome.BUSY) if result.outcome is Outcome.DONE else result


def _verdict(verb: str, mark: Mark, seen: _Seen | None, last: _Change | None) -> Result:
    """What is to come of an item that nobody else works on."""
    if seen is None or not seen.dead:
        if last is not None and last.verb == verb:
            return Result(mark.id, Outcome.ALREADY, str(last.operation))
        return Result(mark.id, Outcome.GONE)
    if mark.digest and mark.digest != seen.digest:
        return Result(mark.id, Outcome.CHANGED)
    if seen.unreadable and verb != _REMOVE:
        return Result(mark.id, Outcome.UNREADABLE, seen.unreadable)
    return Result(mark.id, Outcome.DONE)

"""The operator's queries over one outbox, built with SQLAlchemy Core from its layout."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    FromClause,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    TextClause,
    Uuid,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    true,
    tuple_,
    type_coerce,
)
from sqlalchemy import Column as TableColumn
from sqlalchemy.types import TypeEngine

from ticketops.backends.postgres.dead_glance import outbox_dead
from ticketops.backends.postgres.layout import Layout, inspect
from ticketops.backends.postgres.schema_outbox import failures_table
from ticketops.backends.postgres.session import Session
from ticketops.domain.outbox import EventRow, FailureState, Status
from ticketops.domain.selectors import Selector, TimeOf
from ticketops.errors import UsageError
from ticketops.options import OutboxOptions, PostgresOptions, RelayOptions

_TYPES: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "aggregate_type": Text(),
    "aggregate_id": Text(),
    "event_type": Text(),
    "payload": Text(),
    "status": Text(),
    "created_at": DateTime(timezone=True),
    "published_at": DateTime(timezone=True),
    "retry_count": Integer(),
    "last_error": Text(),
    "seq": BigInteger(),
    "trace_parent": Text(),
}
_FINAL = (FailureState.DEAD.value, FailureState.PARKED.value)
ROW_FIELDS = (
    "id", "aggregate_type", "aggregate_id", "event_type", "status", "created_at", "published_at", "retry_count",
    "last_error", "seq", "failure", "retry_at",
)  # fmt: skip
Condition = ColumnElement[bool]


def ids_parameter(ids: list[Any]) -> ColumnElement[Any]:
    """An array of ids as one parameter."""
    return literal(ids, ARRAY(Uuid))


class Queries:
    """Expressions by meaning; where the table lacks a column, what stands in for it."""

    def __init__(self, layout: Layout, max_attempts: int) -> None:
        self._layout = layout
        metadata = MetaData()
        columns = [TableColumn(layout.name(name), _TYPES[name], key=name) for name in sorted(layout.present)]
        self.outbox = Table(layout.outbox.table, metadata, *columns, schema=layout.postgres.schema).alias("o")
        own = MetaData(schema=layout.postgres.own_schema)
        self.failures = failures_table(own).alias("f")
        self._max_attempts = max_attempts

    def has(self, name: str) -> bool:
        """True where the table has the column."""
        return self._layout.has(name)

    @property
    def scope(self) -> str:
        """The outbox's name in TicketOps' own tables."""
        return self._layout.scope

    @property
    def source(self) -> FromClause:
        """The outbox with what is known of each event's failures."""
        f = self.failures
        return self.outbox.outerjoin(f, and_(f.c.scope == self.scope, f.c.event_id == self.outbox.c.id))

    @property
    def status(self) -> ColumnElement[Any]:
        """The status; without a column, a row that is there is pending unless it is a dead letter."""
        if self.has("status"):
            return self.outbox.c.status
        return case((self.failures.c.state.in_(_FINAL), literal("FAILED")), else_=literal("PENDING"))

    @property
    def retry_count(self) -> ColumnElement[Any]:
        """Attempts that failed."""
        if self.has("retry_count"):
            return self.outbox.c.retry_count
        return func.coalesce(self.failures.c.attempts, 0)

    @property
    def error(self) -> ColumnElement[Any]:
        """The last error's text."""
        if self.has("last_error"):
            return func.coalesce(self.outbox.c.last_error, self.failures.c.error)
        return self.failures.c.error

    @property
    def dead(self) -> Condition:
        """A dead letter: past its attempts, or parked behind one that is."""
        return literal_column(outbox_dead(self._layout, self._max_attempts).as_string(), Boolean)

    def is_status(self, *statuses: Status) -> Condition:
        """A literal condition, so that the partial indexes serve it."""
        words = [literal(status.value, Text, literal_execute=True) for status in sorted(statuses)]
        return self.status == words[0] if len(words) == 1 else self.status.in_(words)

    def optional(self, name: str) -> ColumnElement[Any]:
        """A column, or NULL where the table has none."""
        return self.outbox.c[name] if self.has(name) else cast(null(), _TYPES[name])

    def as_error(self, words: str) -> TextClause:
        """A text as last_error takes it: cut to its length."""
        return text(f"CAST(:words AS {self._layout.error_type})").bindparams(words=words)

    def moment(self, name: str) -> ColumnElement[Any]:
        """A time, or NULL: an infinite one is none that a datetime can be."""
        column = self.optional(name)
        return case((func.isfinite(column), column)) if self.has(name) else column

    @property
    def order(self) -> list[ColumnElement[Any]]:
        """The order of an aggregate's events: rows older than seq come first."""
        o = self.outbox
        by_seq = [o.c.seq.asc().nulls_first()] if self.has("seq") else []
        by_time = [o.c.created_at.asc()] if self.has("created_at") else []
        return [*by_seq, *by_time, o.c.id.asc()]

    def before(self, event: EventRow) -> Condition:
        """Rows of the event's aggregate that wait before it."""
        o = self.outbox
        same = and_(o.c.aggregate_type == event.aggregate_type, o.c.aggregate_id == event.aggregate_id)
        return and_(same, self.is_status(Status.PENDING), self._earlier(event))

    def _earlier(self, event: EventRow) -> Condition:
        o = self.outbox
        if self.has("seq") and event.seq is not None:
            return or_(o.c.seq.is_(None), o.c.seq < event.seq)
        unnumbered = o.c.seq.is_(None) if self.has("seq") else true()
        if not self.has("created_at") or event.created_at is None:
            return and_(unnumbered, o.c.id < event.id)
        return and_(unnumbered, tuple_(o.c.created_at, o.c.id) < tuple_(literal(event.created_at), literal(event.id)))

    def row_columns(self) -> list[ColumnElement[Any]]:
        """In the order of ROW_FIELDS."""
        o, f = self.outbox, self.failures
        return [
            o.c.id, o.c.aggregate_type, o.c.aggregate_id, o.c.event_type, self.status.label("status"),
            self.moment("created_at").label("created_at"), self.moment("published_at").label("published_at"),
            self.retry_count.label("retry_count"), self.error.label("last_error"),
            self.optional("seq").label("seq"), f.c.state.label("failure"), f.c.retry_at,
        ]  # fmt: skip

    @property
    def payload_type(self) -> str:
        """The type of the payload column: jsonb, json, text, character varying or bytea."""
        return self._layout.payload_type

    @property
    def payload_bytes(self) -> ColumnElement[Any]:
        """The payload as stored."""
        if self._layout.payload_type == "bytea":
            return type_coerce(self.outbox.c.payload, LargeBinary)
        return func.convert_to(cast(self.outbox.c.payload, Text), "UTF8", type_=LargeBinary)

    @property
    def created_text(self) -> ColumnElement[Any]:
        """created_at as the relay's header has it: RFC 3339 in UTC."""
        if not self.has("created_at"):
            return cast(null(), Text)
        in_utc = cast(func.timezone("UTC", self.outbox.c.created_at), Text)
        return func.replace(in_utc, " ", "T") + literal("Z")

    def selected(self, selector: Selector, *columns: ColumnElement[Any]) -> Select[Any]:
        """The rows that a selector meets, in order, within its limit."""
        return self._limited(selector, self.order, columns)

    def listed(self, selector: Selector) -> Select[Any]:
        """The same for people: published rows newest first, by their index."""
        if selector.statuses == {Status.PUBLISHED} and self.has("published_at"):
            newest_first = [self.outbox.c.published_at.desc(), self.outbox.c.id]
            return self._limited(selector, newest_first, self.row_columns())
        return self._limited(selector, self.order, self.row_columns())

    def _limited(
        self, selector: Selector, order: Sequence[ColumnElement[Any]], columns: Sequence[ColumnElement[Any]]
    ) -> Select[Any]:
        query = select(*columns).select_from(self.source).where(self.condition(selector)).order_by(*order)
        return query if selector.limit is None else query.limit(selector.limit)

    def condition(self, selector: Selector) -> Condition:
        """All of the selector's conditions."""
        o = self.outbox
        found: list[Condition] = [true()]
        if selector.ids:
            found.append(o.c.id == func.any(ids_parameter(list(selector.ids))))
        if selector.statuses:
            found.append(self.is_status(*selector.statuses))
        named = {
            "aggregate_type": selector.aggregate_type,
            "event_type": selector.event_type,
            "aggregate_id": selector.key,
        }
        found += [o.c[name] == value for name, value in named.items() if value is not None]
        found += self._times(selector)
        if selector.match is not None:
            found.append(func.strpos(func.lower(self.error), func.lower(literal(selector.match))) > 0)
        if selector.dead:
            found.append(self.dead)
        if selector.state is not None:
            found.append(self.failures.c.state == selector.state.value)
        if selector.troubled:
            found.append(or_(self.is_status(Status.FAILED), self.failures.c.state.is_not(None)))
        return and_(*found)

    def _times(self, selector: Selector) -> list[Condition]:
        if selector.since is None and selector.until is None:
            return []
        if not self.has(selector.time_of.value):
            raise UsageError(
                "events cannot be selected by time", why=f"{self.scope} has no column for {selector.time_of.value}"
            )
        time = self.outbox.c[TimeOf(selector.time_of).value]
        found: list[Condition] = []
        if selector.since is not None:
            found.append(time >= selector.since)
        if selector.until is not None:
            found.append(time < selector.until)
        return found


def inspected(postgres: PostgresOptions, outbox: OutboxOptions, relay: RelayOptions, application: str) -> Queries:
    """The queries for the outbox as it is found; SchemaError or DeniedError where it cannot be used."""
    session = Session(postgres, application)
    try:
        with session.use() as connection:
            layout = inspect(connection, postgres, outbox, relay.shards)
    finally:
        session.close()
    return Queries(layout, relay.max_attempts)


def reason(error: ColumnElement[Any]) -> ColumnElement[Any]:
    """The first line of an error, shortened, to count by."""
    return func.left(func.split_part(error, "\n", 1), 120)

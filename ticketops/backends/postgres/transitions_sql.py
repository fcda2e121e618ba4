"""The statements of a unit of transitions, composed once from the tables as they were found."""

from collections.abc import Sequence
from typing import Final

from psycopg import sql

from ticketops.backends.postgres.machine_layout import MachineLayout
from ticketops.domain.subjects import Field

SETTABLE: Final = tuple(field.value for field in Field)
_TEXT: Final = frozenset(
    {"reference", "state", "payment_status", "payment_reference", "user_id", "event_id", "currency"}
)
_TYPES: Final = {
    "payment_status": "text",
    "payment_reference": "text",
    "confirmed_at": "timestamptz",
    "cancelled_at": "timestamptz",
    "cancellation_reason": "text",
}

_RENAMED: Final = {"key": "moved_key"}
"""Parameters that two parts of one statement would call the same."""

_LOCK = """
WITH locked AS MATERIALIZED (
  SELECT {columns}, {taken} FROM {table} b WHERE {key} = ANY({keys}) ORDER BY {key} FOR UPDATE {how}
) SELECT locked.*, clock_timestamp() FROM locked"""
_TAKEN = """
ARRAY(SELECT s.seat_number FROM {seats} s WHERE s.booking_id = {id} AND s.seat_number IS NOT NULL ORDER BY s.ctid)"""
_FIND = """
SELECT {columns}, {taken} FROM {table} b WHERE {condition} ORDER BY {key} LIMIT %(limit)s"""
_ADD_SEATS = """
INSERT INTO {seats} (booking_id, seat_number)
SELECT {id}, s.seat FROM {table} b, unnest(%(seats)s::text[]) WITH ORDINALITY AS s (seat, position)
WHERE {key} = {text} ORDER BY s.position"""
_UNSEEN = """
INSERT INTO {inbox} (consumer, event_id)
SELECT %(consumer)s, e.id FROM unnest(%(ids)s::text[]) AS e (id) ORDER BY e.id
ON CONFLICT DO NOTHING RETURNING event_id"""
_UPDATE = """
UPDATE {table} b SET {assignments} FROM unnest({arrays}) AS n ({names})
WHERE {key} = n.key AND {key} = ANY({keys})"""
"""The second condition finds the rows by their index, where a join alone reads a small table whole."""
_MOVE = """
WITH moved AS ({update}){record}"""
_RECORD = """
INSERT INTO {history} ({columns})
SELECT {values} FROM unnest({arrays}) WITH ORDINALITY AS n ({names}, position) ORDER BY n.position"""
_COMPENSATE = """
INSERT INTO {compensations}
  (compensation_id, booking_id, booking_reference, compensation_type, reference_id, error_message, payload,
   next_retry_at)
SELECT n.id, n.booking, n.reference, n.type, n.reference_id, nullif(n.error, ''), nullif(n.payload, ''),
       n.at + interval '30 seconds'
FROM unnest(%(id)s::uuid[], %(booking)s::bigint[], %(reference)s::text[], %(type)s::text[], %(reference_id)s::text[],
            %(error)s::text[], %(payload)s::text[], %(at)s::timestamptz[])
  WITH ORDINALITY AS n (id, booking, reference, type, reference_id, error, payload, at, position)
ORDER BY n.position"""
_AUDIT = """
INSERT INTO {audit} (at, actor, action, target, details, reason, result)
VALUES (%(at)s, %(actor)s, %(action)s, %(target)s, %(details)s, %(reason)s, %(result)s)"""
_FORGET = """
DELETE FROM {inbox} i USING (
  SELECT consumer, event_id FROM {inbox} WHERE at < now() - make_interval(secs => %(age)s)
  ORDER BY at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) old WHERE i.consumer = old.consumer AND i.event_id = old.event_id"""
NOW: Final = b"SELECT clock_timestamp()"


class Statements:
    """What is sent, as bytes."""

    def __init__(self, layout: MachineLayout) -> None:
        self.layout = layout
        self.columns = layout.columns
        """The TicketOps names of what `lock` and `find` answer, in their order; the seats follow."""
        self.settable = tuple(name for name in SETTABLE if layout.has(name))
        keys = self._parameter("keys", "[]")
        self.lock = self._composed(_LOCK, **self.shown, keys=keys, how=sql.SQL(""))
        self.lock_free = self._composed(_LOCK, **self.shown, keys=keys, how=sql.SQL("SKIP LOCKED"))
        self.add_seats = self._add_seats()
        self.unseen = self._composed(_UNSEEN)
        self.audit = self._composed(_AUDIT)
        self.forget = self._composed(_FORGET)
        self.record = self._record().as_bytes(None)
        self._moves: dict[tuple[str, ...], bytes] = {}
        self.compensate = self._composed(_COMPENSATE) if layout.places.compensations_table else b""
        self.by_key = self._find(sql.SQL("{} = {}").format(layout.column("key"), self._parameter("text", "")))
        self.by_reference = self._find_equal("reference")
        self.by_payment = self._find_equal("payment_reference")

    def update(self, names: tuple[str, ...]) -> bytes:
        """Set the state and these fields, by their TicketOps names."""
        return self._update(names).as_bytes(None)

    def move(self, names: tuple[str, ...]) -> bytes:
        """The same, and write the history."""
        if names not in self._moves:
            made = sql.SQL(_MOVE).format(update=self._update(names), record=self._record())
            self._moves[names] = made.as_bytes(None)
        return self._moves[names]

    def insert(self, names: Sequence[str]) -> bytes:
        """Insert one subject with these columns, by their TicketOps names, in their order."""
        columns = self.layout.places.columns
        return (
            sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING RETURNING true")
            .format(
                self.layout.table,
                _comma([sql.Identifier(getattr(columns, name)) for name in names]),
                _comma([sql.Placeholder(name) for name in names]),
            )
            .as_bytes(None)
        )

    def _composed(self, statement: str, /, **parts: sql.Composable) -> bytes:
        return self._formatted(statement, **parts).as_bytes(None)

    def _formatted(self, statement: str, /, **parts: sql.Composable) -> sql.Composable:
        layout = self.layout
        known: dict[str, sql.Composable] = {
            "table": layout.table,
            "history": layout.history,
            "inbox": layout.own("inbox"),
            "audit": layout.own("audit"),
            "compensations": layout.compensations,
            "seats": layout.seats,
            "key": layout.column("key"),
        }
        return sql.SQL(statement).format(**known, **parts)

    @property
    def shown(self) -> dict[str, sql.Composable]:
        """The columns, and the seats that are taken, of a statement that answers subjects."""
        taken: sql.Composable = sql.SQL("ARRAY[]::text[]")
        if self._has_seats:
            taken = self._formatted(_TAKEN, id=self.layout.column("id"))
        return {"columns": self._selected, "taken": taken}

    @property
    def _has_seats(self) -> bool:
        return bool(self.layout.places.seats_table) and self.layout.has("id")

    def _add_seats(self) -> bytes:
        if not self._has_seats:
            return b""
        return self._composed(_ADD_SEATS, id=self.layout.column("id"), text=self._parameter("text", ""))

    @property
    def _selected(self) -> sql.Composable:
        return _comma([self._shown(name) for name in self.columns])

    def _shown(self, name: str) -> sql.Composable:
        column = self.layout.column(name)
        return sql.SQL("{}::text").format(column) if name == "key" or name in _TEXT else column

    def _parameter(self, name: str, dimensions: str) -> sql.Composable:
        """A parameter of the key's type."""
        return sql.SQL("%({})s::{}{}").format(sql.SQL(name), sql.SQL(self.layout.key_type), sql.SQL(dimensions))

    def _find(self, condition: sql.Composable) -> bytes:
        return self._composed(_FIND, condition=condition, **self.shown)

    def _find_equal(self, name: str) -> bytes:
        if not self.layout.has(name):
            return b""
        return self._find(sql.SQL("{} = %(text)s").format(self.layout.column(name)))

    def _update(self, fields: tuple[str, ...]) -> sql.Composable:
        columns = self.layout.places.columns
        names = ("state", *fields)
        sets = [sql.SQL("{} = n.{}").format(sql.Identifier(getattr(columns, n)), sql.Identifier(n)) for n in names]
        if self.layout.has("updated_at"):
            sets.append(sql.SQL("{} = n.at").format(sql.Identifier(columns.updated_at)))
        types = {"key": self.layout.key_type, "state": self.layout.state_type, "at": "timestamptz", **_TYPES}
        given = ("key", *names, "at")
        return self._formatted(
            _UPDATE,
            assignments=_comma(sets),
            arrays=_comma([_array(name, types[name]) for name in given]),
            names=_comma([sql.Identifier(name) for name in given]),
            keys=_array("key", self.layout.key_type),
        )

    def _record(self) -> sql.Composable:
        layout = self.layout
        types = {"key": layout.history_key_type, "transition_id": "uuid", "created_at": "timestamptz"}
        given = [name for name in layout.recorded_columns if name != "id"]
        names = layout.places.history_columns
        return self._formatted(
            _RECORD,
            columns=_comma([sql.Identifier(getattr(names, name)) for name in given]),
            values=_comma([_recorded_value(name) for name in given]),
            arrays=_comma([_array(_RENAMED.get(name, name), types.get(name, "text")) for name in given]),
            names=_comma([sql.Identifier(name) for name in given]),
        )


def _recorded_value(name: str) -> sql.Composable:
    column = sql.Identifier("n", name)
    return sql.SQL("nullif({}, '')").format(column) if name in {"triggered_by", "reason"} else column


def _array(name: str, kind: str) -> sql.Composable:
    """A parameter in binary form, which costs half of what text does."""
    return sql.SQL("%({})b::{}[]").format(sql.SQL(name), sql.SQL(kind))


def _comma(parts: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(", ").join(parts)

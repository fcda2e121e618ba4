"""How much waits in the outbox, for how long, and how fast it flows; every statement finds its rows by an index."""

from typing import Any, Final, LiteralString

from psycopg import Connection, sql

from ticketops.backends.postgres.layout import Layout

_HELD: Final[LiteralString] = """EXISTS (
    SELECT 1 FROM {failures} h WHERE h.scope = %(scope)s AND h.state <> 'dead'
      AND h.aggregate_type = {aggregate_type} AND h.aggregate_id = {aggregate_id})"""
NO_DEAD_LETTER: Final[LiteralString] = """NOT EXISTS (
    SELECT 1 FROM {failures} d WHERE d.scope = %(scope)s AND d.event_id = {id} AND d.state IN ('dead', 'parked'))"""
"""A row that waits, in a table without a status."""
_PENDING: Final[LiteralString] = "SELECT count(*) FROM {table} o WHERE {waiting}"
_OLDEST: Final[LiteralString] = (
    """
SELECT date_part('epoch', clock_timestamp() - {created_at}) FROM {table} o
WHERE {waiting} AND isfinite({created_at}) AND NOT """
    + _HELD
    + " ORDER BY {created_at} LIMIT 1"
)
_HELD_BACK: Final[LiteralString] = """
SELECT count(*) FROM (SELECT DISTINCT aggregate_type, aggregate_id FROM {failures}
                      WHERE scope = %(scope)s AND state IN ('retrying', 'blocked')) h
"""
_DEAD: Final[LiteralString] = """
SELECT count(*) FROM {failures} WHERE scope = %(scope)s AND state IN ('dead', 'parked')
"""
# What was created within the window is pending still, or was published within the window too.
_FLOW: Final[LiteralString] = """
SELECT count({id}), count({id}) FILTER (WHERE {created_at} > w.start)
     + (SELECT count(*) FROM {table} o WHERE {waiting} AND {created_at} > w.start)
FROM (SELECT now() - make_interval(secs => %(window)s) AS start) w
LEFT JOIN {table} o ON {status} = 'PUBLISHED' AND {published_at} > w.start
GROUP BY w.start
"""


class BacklogQueries:
    """The statements for one outbox, composed once."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        names = ("id", "aggregate_type", "aggregate_id", "status", "created_at", "published_at")
        columns = {name: layout.column(name) for name in names}
        failures = layout.own("outbox_failures")
        lost = sql.SQL(NO_DEAD_LETTER).format(failures=failures, id=columns["id"])
        waiting = layout.pending if layout.has("status") else lost
        self._names = {"table": layout.table, "failures": failures, "waiting": waiting, **columns}

    def waiting(self, connection: Connection[tuple[Any, ...]]) -> tuple[int, float | None, int]:
        """PENDING rows; seconds that the oldest one that is not held back waits; aggregates that are held back."""
        oldest = self._scalar(connection, _OLDEST) if self._layout.has("created_at") else None
        pending = int(self._scalar(connection, _PENDING) or 0)
        held_back = int(self._scalar(connection, _HELD_BACK) or 0)
        return pending, None if oldest is None else max(0.0, float(oldest)), held_back

    def dead(self, connection: Connection[tuple[Any, ...]]) -> int:
        """Events that the relay gave up."""
        return int(self._scalar(connection, _DEAD) or 0)

    def flow(self, connection: Connection[tuple[Any, ...]], window: float) -> tuple[float, float]:
        """Events created and published per second over the last `window` seconds; zeros where no times are kept."""
        layout = self._layout
        if not all(layout.has(name) for name in ("status", "created_at", "published_at")):
            return 0.0, 0.0
        row = connection.execute(self._statement(_FLOW), {"window": window, "scope": layout.scope}).fetchone()
        published, created = row or (0, 0)
        return created / window, published / window

    def _scalar(self, connection: Connection[tuple[Any, ...]], query: LiteralString) -> Any:  # noqa: ANN401
        row = connection.execute(self._statement(query), {"scope": self._layout.scope}).fetchone()
        return row[0] if row else None

    def _statement(self, query: LiteralString) -> sql.Composed:
        return sql.SQL(query).format(**self._names)

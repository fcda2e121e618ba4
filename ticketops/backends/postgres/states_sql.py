"""The statements of an operator's view of one machine, composed once from the tables as they were found."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

from psycopg import sql

from ticketops.backends.postgres.machine_layout import MachineLayout
from ticketops.backends.postgres.transitions_sql import Statements
from ticketops.domain.machine import Machine

RECORDED: Final = (
    "id",
    "transition_id",
    "key",
    "from_state",
    "to_state",
    "event",
    "triggered_by",
    "reason",
    "created_at",
)

_HISTORY = """
SELECT {recorded} FROM {history} h WHERE {hkey} = {one} AND {number} > %(after)s ORDER BY {number} LIMIT %(limit)s"""
_STATES = """
SELECT {state}::text, count(*), {expired} FROM {table} b GROUP BY 1"""
_OPEN = """
SELECT {state}::text, count(*), {expired} FROM {table} b WHERE {state}::text <> ALL ({resting}) GROUP BY 1"""
"""The states at rest stand in it as literals, so that the planner sees that the index of the others has it all."""
_LATE = """
SELECT state, count(*), min(since) FROM (
  SELECT l.state, l.seconds, coalesce(last.at, {updated}) AS since
  FROM {table} b JOIN unnest(%(states)s::text[], %(limits)s::float8[]) AS l (state, seconds) ON {state}::text = l.state
  LEFT JOIN LATERAL (
    SELECT CASE WHEN {to}::text = {state}::text THEN {at} END AS at
    FROM {history} h WHERE {hkey} = {bkey} ORDER BY {number} DESC LIMIT 1
  ) last ON true
  WHERE {state}::text = ANY(%(states)s::text[]) AND {born}
) waits WHERE since < now() - make_interval(secs => seconds) GROUP BY 1 ORDER BY 1"""
_NEWEST = """
SELECT {from_}::text, {event}::text, {to}::text, count(*) FROM (
  SELECT * FROM {history} h ORDER BY {number} DESC LIMIT %(newest)s
) h WHERE {at} >= now() - interval '1 hour' GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"""
"""By number, which every history has an index of; one by time only the newer ones have."""
_BORN = "coalesce({created} < now() - make_interval(secs => l.seconds), true)"
"""Nobody is in a state for longer than it exists: the history of the young ones, nearly all, is not looked at."""
_WAITING = """
WITH waiting AS (
  SELECT {columns}, {taken}, coalesce(last.at, {updated}) AS since, last.event, {over} AS over
  FROM {table} b JOIN unnest(%(states)s::text[], %(limits)s::float8[]) AS l (state, seconds) ON {state}::text = l.state
  LEFT JOIN LATERAL (
    SELECT CASE WHEN {to}::text = {state}::text THEN {at} END AS at, {event}::text AS event
    FROM {history} h WHERE {hkey} = {bkey} ORDER BY {number} DESC LIMIT 1
  ) last ON true
  WHERE {state}::text = ANY(%(states)s::text[]) AND ({born} OR {over})
    AND (coalesce(last.at, {updated}) < now() - make_interval(secs => l.seconds) OR {over})
)
SELECT *, count(*) OVER () FROM waiting ORDER BY over DESC, since NULLS FIRST LIMIT %(limit)s"""
_OVERDUE = """
SELECT {columns}, {taken} FROM {table} b
WHERE {state}::text = ANY(%(states)s::text[]) AND {expires} <= now() ORDER BY {expires} LIMIT %(limit)s"""
_MOVES = """
SELECT {from_}::text, {event}::text, {to}::text, count(*) FROM {history} h
WHERE {at} >= now() - make_interval(secs => %(window)s) GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"""
_STAYS = """
WITH steps AS (
  SELECT {from_}::text AS state, {at} AS at, lag({at}) OVER w AS entered, lag({to}::text) OVER w AS came_to,
         {event}::text AS event
  FROM {history} h WHERE {at} >= now() - make_interval(secs => %(window)s * 2)
  WINDOW w AS (PARTITION BY {hkey} ORDER BY {number})
)
SELECT state, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)
FROM (SELECT state, extract(epoch FROM at - entered)::float8 AS seconds FROM steps
      WHERE at >= now() - make_interval(secs => %(window)s) AND came_to = state AND event IS DISTINCT FROM %(creation)s
     ) AS stays
GROUP BY state ORDER BY 2 DESC, 1"""
_JUDGED = """
WITH page AS (
  SELECT {hkey} AS key, {number} AS number, {from_}::text AS source, {to}::text AS target,
         concat_ws(chr(31), {from_}, coalesce({event}::text, ''), {to}) AS step
  FROM {history} h {where} ORDER BY {hkey}, {number} LIMIT %(limit)s
), steps AS (
  SELECT key, target, step <> ALL (%(known)s::text[])
           OR source <> CASE WHEN lag(key) OVER w = key THEN lag(target) OVER w ELSE %(initial)s END AS odd,
         lead(key) OVER w IS DISTINCT FROM key AS ends
  FROM page WINDOW w AS (ORDER BY key, number)
), lives AS (
  SELECT key, count(*) AS rows, bool_or(odd) AS odd, max(target) FILTER (WHERE ends) AS target FROM steps GROUP BY key
)
SELECT count(*), coalesce(sum(rows), 0)::bigint, (array_agg(key ORDER BY key DESC))[1:2]::text[],
       (array_agg(rows ORDER BY key DESC))[1],
       coalesce(array_agg(key::text ORDER BY key) FILTER (WHERE odd OR {state}::text IS DISTINCT FROM target), '{{}}')
FROM lives LEFT JOIN {table} b ON {bkey} = key"""
"""Of a page: subjects, transitions, the last two keys, the transitions of the last one, and whose history is odd."""
_LIVES = """
SELECT {recorded}, {state}::text, {created}, {updated} FROM {history} h LEFT JOIN {table} b ON {bkey} = {hkey}
WHERE {hkey} = ANY ({keys}) ORDER BY {hkey}, {number}"""
_SILENT = """
SELECT {bkey}::text, {state}::text, {created}, {updated} FROM {table} b
WHERE {state}::text <> %(initial)s {where}
  AND NOT EXISTS (SELECT 1 FROM {history} h WHERE {hkey} = {bkey}) {since}
ORDER BY {bkey} LIMIT %(limit)s"""
_FORGET = """
DELETE FROM {history} h USING (
  SELECT {number} AS number FROM {history} h WHERE {at} < now() - make_interval(secs => %(age)s)
  ORDER BY {at} LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) old WHERE {number} = old.number"""


class Queries:
    """What is sent, as bytes."""

    def __init__(self, layout: MachineLayout, machine: Machine) -> None:
        self.layout = layout
        statements = Statements(layout)
        self.columns = statements.columns
        """The TicketOps names of what answers subjects; the seats follow."""
        shown = statements.shown
        self.history = self._made(_HISTORY, one=_parameter("key", layout.history_key_type))
        self.states = self._made(_STATES)
        self.open = self._made(_OPEN, resting=_texts(sorted(machine.resting)))
        self.late = self._made(_LATE)
        self.newest = self._made(_NEWEST)
        self.waiting = self._made(_WAITING, **shown)
        self.overdue = self._made(_OVERDUE, **shown) if layout.has("expires_at") else b""
        self.moves = self._made(_MOVES)
        self.stays = self._made(_STAYS)
        nothing, after = sql.SQL(""), _parameter("after", layout.history_key_type)
        self.first_judged = self._made(_JUDGED, where=nothing)
        self.next_judged = self._made(_JUDGED, where=self._format("WHERE {hkey} > {after}", after=after))
        self.lives = self._made(_LIVES, keys=_parameter("keys", f"{layout.history_key_type}[]"))
        beyond = self._format("AND {bkey} > {after}", after=_parameter("after", layout.key_type))
        recent = self._format("AND {created} >= %(since)s") if layout.has("created_at") else nothing
        self.first_silent = self._made(_SILENT, where=nothing, since=recent)
        self.next_silent = self._made(_SILENT, where=beyond, since=recent)
        self.first_silent_ever = self._made(_SILENT, where=nothing, since=nothing)
        self.next_silent_ever = self._made(_SILENT, where=beyond, since=nothing)
        self.forget = self._made(_FORGET)

    def _made(self, statement: str, /, **parts: sql.Composable) -> bytes:
        return self._format(statement, **parts).as_bytes(None)

    def _format(self, statement: str, /, **parts: sql.Composable) -> sql.Composable:
        return sql.SQL(statement).format(**self._known, **parts)

    @cached_property
    def _known(self) -> dict[str, Any]:
        """What every statement may name."""
        layout = self.layout
        return {
            "table": layout.table,
            "history": layout.history,
            "state": layout.column("state"),
            "bkey": self._joined_key,
            "hkey": layout.recorded("key"),
            "number": layout.recorded("id"),
            "from_": layout.recorded("from_state"),
            "to": layout.recorded("to_state"),
            "event": layout.recorded("event") if layout.places.history_columns.event else sql.SQL("NULL"),
            "at": layout.recorded("created_at"),
            "recorded": sql.SQL(", ").join([self._recorded(name) for name in RECORDED]),
            "created": self._time("created_at"),
            "updated": self._time("updated_at"),
            "expires": self._time("expires_at"),
            "born": sql.SQL(_BORN).format(created=self._time("created_at")),
            "expired": sql.SQL("count(*) FILTER (WHERE {} <= now())").format(self._time("expires_at")),
            "over": sql.SQL("coalesce({}::text = ANY(%(expiring)s::text[]) AND {} <= now(), false)").format(
                layout.column("state"), self._time("expires_at")
            ),
        }

    @property
    def _joined_key(self) -> sql.Composable:
        """The subject's key in the type of the history's."""
        layout = self.layout
        column = layout.column("key")
        if layout.key_type == layout.history_key_type:
            return column
        return sql.SQL("{}::{}").format(column, sql.SQL(layout.history_key_type))

    def _time(self, name: str) -> sql.Composable:
        return self.layout.column(name) if self.layout.has(name) else sql.SQL("NULL::timestamptz")

    def _recorded(self, name: str) -> sql.Composable:
        if not getattr(self.layout.places.history_columns, name):
            return sql.SQL("NULL::text")
        column = self.layout.recorded(name)
        return column if name in {"id", "created_at"} else sql.SQL("{}::text").format(column)


def _parameter(name: str, kind: str) -> sql.Composable:
    return sql.SQL("%({})s::{}").format(sql.SQL(name), sql.SQL(kind))


def _texts(values: Sequence[str]) -> sql.Composable:
    return sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join([sql.Literal(value) for value in values]))


def known_steps(machine: Machine) -> list[str]:
    """The steps that break nothing: what the table has, a move of which no event is told, and the creation."""
    steps = {(rule.source, rule.event, rule.target) for rule in machine.rules}
    steps |= {(source, "", target) for source, target in machine.moves}
    steps.add((machine.initial, machine.creation, machine.initial))
    return ["\x1f".join(step) for step in sorted(steps)]

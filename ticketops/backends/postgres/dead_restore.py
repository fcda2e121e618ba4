"""Rows brought back from what was stored of them, exactly: the server itself reads the JSON that it wrote."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from psycopg import sql
from sqlalchemy import Connection

from ticketops.domain.deadletters import DeadLetter

_NOTHING: Mapping[str, str] = MappingProxyType({})
_COLUMNS = """
SELECT a.attname, pg_get_serial_sequence(format('%%I.%%I', n.nspname, c.relname), a.attname)::regclass::oid
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
"""
_LAST = """
SELECT CASE WHEN has_sequence_privilege(%s::oid, 'USAGE, SELECT') THEN coalesce(pg_sequence_last_value(%s::oid), 0) END
"""
_MARK = "\x01"
_HOLE = sql.SQL(_MARK)


class Unfit(Exception):
    """What is stored of a letter cannot become a row; the text says why."""


class Restore:
    """Inserts rows into one table.

    Args:
        connection: of the transaction that everything happens in.
        schema: of the table.
        table: its name.
        part: which part of what is stored becomes a row.
        fixed: values of columns that do not come from there.
    """

    def __init__(
        self, connection: Connection, schema: str, table: str, *, part: str = "row", fixed: Mapping[str, str] = _NOTHING
    ) -> None:
        self._connection = connection
        self._table = sql.Identifier(schema, table)
        self._part = part
        self._fixed = fixed
        found = connection.exec_driver_sql(_COLUMNS, (schema, table)).all()
        self._columns = [name for name, _ in found]
        self._numbered = {name: self._last_number(sequence) for name, sequence in found if sequence}

    def _last_number(self, sequence: int) -> int | None:
        """What a sequence gave last; None where we may not know."""
        last: int | None = self._connection.exec_driver_sql(_LAST, (sequence, sequence)).scalar_one()
        return last

    def put(self, letter: DeadLetter) -> bool:
        """Insert a letter's row; False where another row stands in its place. Unfit where it cannot be one.

        A number that this table's sequence has not reached is drawn anew: it comes from another database, and the
        sequence would meet it later.
        """
        row = self._row(letter)
        names = [name for name in self._columns if name in row and name not in self._fixed]
        kept = [name for name in names if not self._is_ahead(name, row)]
        return self._insert(kept, letter) or self._insert([n for n in names if n not in self._numbered], letter)

    def has(self, letter: DeadLetter) -> bool:
        """True where this part of the letter is stored."""
        part = self._stored(letter).get(self._part)
        return isinstance(part, dict) and bool(part)

    def _row(self, letter: DeadLetter) -> Mapping[str, Any]:
        if not self.has(letter):
            raise Unfit(f"nothing is stored of its {self._part}")
        row: Mapping[str, Any] = self._stored(letter)[self._part]
        return row

    def _stored(self, letter: DeadLetter) -> Mapping[str, Any]:
        try:
            stored = json.loads(letter.stored.decode())
        except (ValueError, RecursionError) as error:
            raise Unfit(f"what is stored of it is not JSON: {error}") from error
        return stored if isinstance(stored, dict) else {}

    def _is_ahead(self, name: str, row: Mapping[str, Any]) -> bool:
        last, number = self._numbered.get(name), row[name]
        return last is not None and isinstance(number, int) and number > last

    def _insert(self, names: list[str], letter: DeadLetter) -> bool:
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in (*names, *self._fixed))
        values = [sql.Identifier("r", name) for name in names] + [_HOLE for _ in self._fixed]
        query = sql.SQL(
            "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} "
            "FROM json_populate_record(NULL::{table}, CAST({stored} AS json) -> {part}) r ON CONFLICT DO NOTHING"
        ).format(
            table=self._table,
            columns=columns,
            values=sql.SQL(", ").join(values),
            stored=_HOLE,
            part=sql.Literal(self._part),
        )
        text = query.as_string().replace("%", "%%").replace(_MARK, "%s")
        parameters = (*self._fixed.values(), letter.stored.decode())
        return self._connection.exec_driver_sql(text, parameters).rowcount == 1

"""The tables of one machine as they are configured and found: names, columns, types of the keys."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from psycopg import Connection, sql

from ticketops.errors import SchemaError
from ticketops.options import Places, PostgresOptions

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""
_INTEGERS = {"bigint": 63, "integer": 31, "smallint": 15}
"""Bits of the largest value."""


@dataclass(frozen=True, slots=True)
class MachineLayout:
    """What the statements of one machine are composed of."""

    schema: str
    own_schema: str
    places: Places
    key_type: str
    history_key_type: str
    state_type: str

    @property
    def table(self) -> sql.Identifier:
        """The subjects' table."""
        return sql.Identifier(self.schema, self.places.table)

    @property
    def history(self) -> sql.Identifier:
        """The table of transitions."""
        return sql.Identifier(self.schema, self.places.history_table)

    @property
    def seats(self) -> sql.Identifier:
        """The table of seats."""
        return sql.Identifier(self.schema, self.places.seats_table)

    @property
    def compensations(self) -> sql.Identifier:
        """The table of compensations."""
        return sql.Identifier(self.schema, self.places.compensations_table)

    def own(self, name: str) -> sql.Identifier:
        """A table of TicketOps' own schema."""
        return sql.Identifier(self.own_schema, name)

    def has(self, name: str) -> bool:
        """True where the subjects' table has a column, by its TicketOps name."""
        return bool(getattr(self.places.columns, name))

    def column(self, name: str, alias: str = "b") -> sql.Identifier:
        """A column of the subjects' table, by its TicketOps name."""
        return sql.Identifier(alias, getattr(self.places.columns, name))

    def recorded(self, name: str, alias: str = "h") -> sql.Identifier:
        """A column of the history, by its TicketOps name."""
        return sql.Identifier(alias, getattr(self.places.history_columns, name))

    @property
    def columns(self) -> tuple[str, ...]:
        """The TicketOps names of the columns that the subjects' table has."""
        return tuple(item.name for item in fields(self.places.columns) if self.has(item.name))

    @property
    def recorded_columns(self) -> tuple[str, ...]:
        """The TicketOps names of the columns that the history has."""
        names = self.places.history_columns
        return tuple(item.name for item in fields(names) if getattr(names, item.name))

    def canonical(self, key: str) -> str | None:
        """A key as PostgreSQL writes it; None where the text cannot be one."""
        return _canonical(key, self.key_type)

    def recorded_key(self, key: str) -> str | None:
        """The same in the history."""
        return _canonical(key, self.history_key_type)


def _canonical(key: str, kind: str) -> str | None:
    if kind == "uuid":
        return _uuid(key.strip())
    if kind in _INTEGERS:
        return _integer(key.strip(), _INTEGERS[kind])
    return key if key and "\0" not in key and _is_utf8(key) else None


def inspect(connection: Connection[tuple[Any, ...]], postgres: PostgresOptions, places: Places) -> MachineLayout:
    """Look at the tables; SchemaError names what is missing."""
    names = [name for name in (places.table, places.history_table, places.seats_table) if name]
    rows = connection.execute(_COLUMNS, (postgres.schema, names)).fetchall()
    types = {(table, column): kind for table, column, kind in rows}
    for table, column, option in _needed(places):
        if (table, column) not in types:
            raise _missing(postgres.schema, table, column, option, {found for found, _ in types})
    return MachineLayout(
        postgres.schema,
        postgres.own_schema,
        places,
        types[places.table, places.columns.key],
        types[places.history_table, places.history_columns.key],
        types[places.table, places.columns.state],
    )


def _needed(places: Places) -> Iterator[tuple[str, str, str]]:
    yield from _named(places.table, places.columns, "columns")
    yield from _named(places.history_table, places.history_columns, "history_columns")


def _named(table: str, names: object, option: str) -> Iterator[tuple[str, str, str]]:
    found: Mapping[str, str] = {item.name: getattr(names, item.name) for item in fields(names)}  # type: ignore[arg-type]
    yield from ((table, column, f"{option}.{name}") for name, column in found.items() if column)


def _missing(schema: str, table: str, column: str, option: str, tables: set[str]) -> SchemaError:
    if table not in tables:
        return SchemaError(
            f"there is no table {schema}.{table}",
            why="postgres.schema and the machine's configuration name it",
            hint="correct them, or run `ticketops db upgrade` on an empty database",
        )
    return SchemaError(
        f"{schema}.{table} has no column {column}", why=f"{option} names it", hint='correct it, or set it to ""'
    )


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def _integer(text: str, bits: int) -> str | None:
    if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 20):  # noqa: PLR2004 - more than a bigint has
        return None
    number = int(text)
    return str(number) if -(2**bits) <= number < 2**bits else None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Names from the configuration, quoted as SQL identifiers."""

from psycopg import sql

_MAX_IDENTIFIER = 63
"""Bytes in a PostgreSQL identifier (NAMEDATALEN - 1)."""


def quoted(*names: str) -> str:
    """A possibly qualified identifier."""
    return sql.Identifier(*names).as_string()


def literal(value: str | int) -> str:
    """A value as an SQL literal, for statements that take no parameters (DDL)."""
    return sql.Literal(value).as_string()


def with_suffix(name: str, suffix: str) -> str:
    """`name` + `suffix`, with `name` cut so that PostgreSQL keeps the suffix."""
    room = _MAX_IDENTIFIER - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix

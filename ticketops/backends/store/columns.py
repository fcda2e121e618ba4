"""Column types that take any text and any time, on PostgreSQL and on SQLite alike."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

_SPECIAL = re.compile("[\\\\\0\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(\\|0|u[0-9a-f]{4})")


def escaped(text: str) -> str:
    r"""Text that a text column takes: NUL as `\0`, a lone surrogate as `\udc80`, a backslash doubled."""
    if text.isascii() and "\\" not in text and "\0" not in text:  # nearly all of them, at a third of the cost
        return text
    return _SPECIAL.sub(_escape, text)


def plain(text: str) -> str:
    """What `escaped` was made of."""
    return _ESCAPED.sub(_unescape, text) if "\\" in text else text


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\\":
        return r"\\"
    return r"\0" if character == "\0" else f"\\u{ord(character):04x}"


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    if code == "\\":
        return "\\"
    return "\0" if code == "0" else chr(int(code[1:], 16))


def legible(text: str) -> str:
    """Text for the audit log, which others write and read as it is: what no column takes becomes a symbol."""
    return text.replace("\0", "␀").encode(errors="replace").decode()


def legible_tree(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """A value as JSON has it, with all its texts legible."""
    if isinstance(value, Mapping):
        return {legible(str(name)): legible_tree(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [legible_tree(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return legible(str(value))


class AnyText(TypeDecorator[str]):
    """Text that may hold NUL and lone surrogates; stored escaped, and legible in `psql`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """To the column."""
        return None if value is None else escaped(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """From the column."""
        return None if value is None else plain(value)


class Json(TypeDecorator[Any]):
    """A JSON value as ASCII text, which keeps the order of names and takes every string."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str:  # noqa: ARG002 - SQLAlchemy's signature
        """To the column; what JSON does not know is written as its text."""
        return json.dumps(value, default=str)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ANN401, ARG002 - any JSON value; SQLAlchemy's signature
        """From the column."""
        return None if value is None else json.loads(value)


class Moment(TypeDecorator[datetime]):
    """A time with its zone; in UTC where the column knows none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the column."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """From the column, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

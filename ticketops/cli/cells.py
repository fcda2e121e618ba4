"""Values as text: what a table cell, a tab-separated field and a JSON field say of them."""

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import PurePath
from typing import Self
from uuid import UUID

from ticketops.domain.spans import age
from ticketops.domain.text import terminal_safe

_NOT_PLAIN = re.compile(r"[^\x20-\x7e\n]")


class Show(StrEnum):
    """How a column's values are written on a terminal."""

    TEXT = "text"
    AGE = "age"
    """Seconds, as 4m12s."""
    COUNT = "count"
    """A number with thousands set apart, to the right."""
    VERDICT = "verdict"
    """A `Graded` word with its symbol, colored where there are colors."""


class Graded(str):
    """A verdict in one word that knows how bad it is; elsewhere than on a terminal it is the word alone."""

    __slots__ = ("grade",)

    def __new__(cls, word: str, grade: str) -> Self:
        """`grade` is a key of SYMBOLS."""
        made = super().__new__(cls, word)
        made.grade = grade
        return made

    grade: str


SYMBOLS = {"bad": "X", "warn": "!", "unknown": "?", "ok": "."}
"""Before the word, so that nothing rests on color alone."""


def plain(value: object) -> object:  # noqa: PLR0911 - one return per kind of value
    """`value` in JSON's own types: RFC 3339 in UTC for times, seconds for durations, null for no number."""
    match value:
        case Enum():
            return plain(value.value)
        case Graded():
            return str(value)
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return rfc3339(value)
        case timedelta():
            return value.total_seconds()
        case date() | UUID() | Decimal() | PurePath():
            return str(value)
        case bytes():
            return value.decode(errors="backslashreplace")
        case Mapping():
            return {str(plain(key)): plain(item) for key, item in value.items()}
        case _:
            return _plain_object(value)


def _plain_object(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def rfc3339(moment: datetime) -> str:
    """`moment` in UTC, as 2026-11-23T10:10:54.947711Z; a time without a zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def cell(value: object, show: Show = Show.TEXT) -> str:  # noqa: PLR0911 - one return per kind of value
    """What a table on a terminal shows; safe for it, on one line, `-` for nothing."""
    match value:
        case None | "":
            return "-"
        case Graded() if show is Show.VERDICT:
            return f"{SYMBOLS[value.grade]} {terminal_safe(value)}"
        case datetime():
            return rfc3339(value.replace(microsecond=0)).replace("T", " ")
        case int() | float() if show is Show.AGE:
            return age(value)
        case int() if show is Show.COUNT and not isinstance(value, bool):
            return f"{value:,}".replace(",", " ")
        case list() | tuple() if all(isinstance(item, str) for item in value):
            return terminal_safe(", ".join(value)) or "-"
        case _:
            return field(value)


def field(value: object) -> str:
    """What a pipe gets in one tab-separated field: whole, safe for a terminal, empty for nothing."""
    return terminal_safe(raw_field(value))


def raw_field(value: object) -> str:
    """The value as one text, not made safe: for CSV in a pipe."""
    simple = plain(value)
    match simple:
        case None:
            return ""
        case bool():
            return "true" if simple else "false"
        case str():
            return simple
        case int() | float():
            return str(simple)
        case _:
            return json_text(simple)


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON in UTF-8 in which every character that a terminal might obey is escaped."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=indent, allow_nan=False)
    return _NOT_PLAIN.sub(_escape_unprintable, text)


def _escape_unprintable(match: re.Match[str]) -> str:
    character = match[0]
    return character if character.isprintable() else json.dumps(character)[1:-1]


def printable(value: object) -> bool:
    """True where the JSON form of `value` needs no escape for a terminal's sake."""
    return json_text(value) == json.dumps(plain(value), ensure_ascii=False, allow_nan=False)

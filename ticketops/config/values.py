"""Values from files, variables and flags, turned into the types of the options, or explained."""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING
from datetime import date, datetime, time
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from ticketops.config.origins import Entry, Source
from ticketops.config.problems import Problem
from ticketops.config.redact import redact
from ticketops.config.schema import Key


def convert(key: Key, entry: Entry) -> object | Problem:
    """The entry's value in the key's type; a Problem where it does not fit."""
    try:
        raw = _from_text(key, entry.value) if entry.textual and isinstance(entry.value, str) else entry.value
        lax = entry.textual and not (key.is_map or key.is_list)
        value: object = msgspec.convert(raw, key.type, strict=not lax)
    except (msgspec.ValidationError, ValueError):
        return _misfit(key, entry)
    if isinstance(value, float) and not math.isfinite(value):
        return _misfit(key, entry)
    return value


def expected(kind: object) -> str:
    """What a type takes, in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return " ".join([expected(arguments[0]), *(_bounds(item) for item in arguments[1:])]).strip()
    if origin is Literal:
        return "one of " + ", ".join(f'"{item}"' for item in arguments)
    if origin is tuple:
        return f"a list of {_plural(arguments[0])}"
    if origin is Mapping:
        return f"a table of {_plural(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(f'"{item.value}"' for item in kind)
    return _NAMES.get(kind, "a value")


_NAMES: dict[object, str] = {str: "text", bool: "true or false", int: "an integer", float: "a number"}


def _plural(kind: object) -> str:
    if kind is str:
        return "texts"
    if get_origin(kind) is not None and get_origin(kind) is not Annotated:
        return "texts, numbers or true/false"
    return f"texts, each {expected(kind)}"


def _bounds(meta: object) -> str:
    if not isinstance(meta, msgspec.Meta):
        return ""
    words = (("above", meta.gt), ("below", meta.lt), ("from", meta.ge), ("to", meta.le))
    return " ".join(f"{word} {bound:,}".replace(",", " ") for word, bound in words if bound is not None)


def got(value: object) -> str:  # noqa: PLR0911 - one return per kind of value
    """What a value is, in words, with the value where it is short."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {json.dumps(value[:60], ensure_ascii=False)}"
        case int() | float():
            return f"the number {value}"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "a table"
        case datetime() | date() | time():
            return "a date or time"
        case _:
            return f"a {type(value).__name__}"


def _misfit(key: Key, entry: Entry) -> Problem:
    shown = "another value (not shown: it may be secret)" if key.secret else redact(got(entry.value))
    place = entry.origin.place if entry.origin.source is Source.FLAG else f"{entry.origin.place}: {key.name}"
    return Problem(
        f"{place} cannot be used",
        why=f"expected {expected(key.type)}, got {shown}",
        hint="" if key.default is MISSING else f"the default is {shown_default(key)}",
    )


def shown_default(key: Key) -> str:
    """The key's default as TOML would write it, near enough for a hint."""
    default: Any = key.default
    return json.dumps(default if not isinstance(default, tuple) else list(default), ensure_ascii=False)


def _from_text(key: Key, text: str) -> object:
    """A list or table out of a variable or flag: JSON, or comma-separated; other types are read by msgspec."""
    stripped = text.strip()
    if not (key.is_map or key.is_list):
        return text if _is_text(key.type) else stripped
    if stripped.startswith(("[", "{")):
        return json.loads(stripped)
    parts = [part.strip() for part in stripped.split(",") if part.strip()]
    return dict(_pair(part) for part in parts) if key.is_map else parts


def _pair(part: str) -> tuple[str, str]:
    name, sign, value = part.partition("=")
    if not sign:
        raise ValueError(part)
    return name.strip(), value.strip()


def _is_text(kind: object) -> bool:
    return kind is str or get_origin(kind) is Union

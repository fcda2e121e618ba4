"""Payloads: JSON text that PostgreSQL's jsonb takes. What passes here must insert.

Limits of numeric and jsonb: PostgreSQL documentation, "Numeric Types" and "JSON Types".
"""

import json
import re
from collections.abc import Iterator

import msgspec

from ticketops.errors import InvalidEvent

MAX_DEPTH = 500
"""Arrays and objects inside one another; the server's stack and Python's take some thousands."""
_INTEGER_DIGITS = 131_072
_FRACTION_DIGITS = 16_383
_EXPONENT_DIGITS = 6
"""Digits of an exponent that is worth computing with."""
_NUMBER = re.compile(r"-?(?P<whole>\d+)(?:\.(?P<fraction>\d+))?(?:[eE](?P<exponent>[+-]?\d+))?", re.ASCII)
_ODD = re.compile(r"\\u|[\x00-\x1f]|(?:\A|[\[,: ])-?(?:[\d.]{18}|[\d.]+[eE])", re.ASCII)
"""What must be looked at closely: escapes that may spell what cannot be stored, and numbers of any size.

A number follows a bracket, a comma, a colon or white space; the digits of an id follow a quote.
"""
_NESTING = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


class Json(str):
    """JSON text that jsonb takes: it was made of values that came from the database itself."""

    __slots__ = ()


def dump(payload: object) -> str:
    """`payload` as JSON text, non-ASCII characters as they are."""
    try:
        return json.dumps(payload, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent("payload is not JSON", why=str(error)) from error


def checked(text: str | bytes) -> str:
    """JSON text, unchanged; InvalidEvent where it is none, or jsonb would refuse it."""
    if isinstance(text, Json):
        return text
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        decoded.encode()
    except UnicodeError as error:
        raise InvalidEvent("payload is not UTF-8", why=str(error)) from error
    _check_depth(decoded)
    if _ODD.search(decoded) is None and _is_json(decoded):
        return decoded
    try:
        json.loads(decoded, parse_constant=_refuse_constant, parse_float=_check_number, parse_int=_check_number)
        if "\\u" in decoded:
            _check_escapes(json.loads(decoded, parse_int=str, object_pairs_hook=_flat))
    except (ValueError, RecursionError) as error:
        raise InvalidEvent("payload is not JSON", why=str(error)) from error
    return decoded


def _is_json(text: str) -> bool:
    """A quick yes, several times faster than a yes by Python's own parser; a no is looked into by that one."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _check_number(text: str) -> float:
    found = _NUMBER.fullmatch(text)
    exponent = (found and found["exponent"]) or "0"
    if found is None or len(exponent.lstrip("+-0")) > _EXPONENT_DIGITS:
        raise _too_large(text)
    power = int(exponent)
    whole, fraction = len(found["whole"]) + power, len(found["fraction"] or "") - power
    if whole > _INTEGER_DIGITS or fraction > _FRACTION_DIGITS:
        raise _too_large(text)
    return 0.0


def _too_large(text: str) -> InvalidEvent:
    return InvalidEvent(
        "payload holds a number that PostgreSQL cannot store",
        why=f"{text[:40]} has more than {_INTEGER_DIGITS} digits before the point or {_FRACTION_DIGITS} after it",
    )


def is_deeper(text: str, levels: int) -> bool:
    """True where arrays and objects of JSON text stand inside one another in more than so many levels."""
    if text.count("[") + text.count("{") <= levels:
        return False
    depth = 0
    for token in _NESTING.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > levels:
            return True
    return False


def _check_depth(text: str) -> None:
    if is_deeper(text, MAX_DEPTH):
        raise InvalidEvent("payload is nested too deeply", why=f"at most {MAX_DEPTH} levels are taken")


def _flat(pairs: list[tuple[str, object]]) -> list[object]:
    """Keys and values alike, those of repeated keys too: the server looks at each."""
    return [item for pair in pairs for item in pair]


def _check_escapes(value: object) -> None:
    r"""What `\u` escapes spell must be storable: jsonb refuses NUL and lone surrogates."""
    for text in _strings(value):
        if "\0" in text:
            raise InvalidEvent("payload holds a NUL character", why="PostgreSQL text cannot")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise InvalidEvent("payload holds a lone surrogate", why="it has no UTF-8 form")


def _strings(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            waiting.extend(item)

"""Strings, numbers and times as Go's encoder writes them, and as its decoder reads times."""

import calendar
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final, Self

from ticketops.errors import WireError

_PLAIN: Final = re.compile(r'[^"\\<>&\x00-\x1f\u2028\u2029\ud800-\udfff]*+')
_SPECIAL: Final = re.compile(r'["\\<>&\x00-\x1f\u2028\u2029\ud800-\udfff]')
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SMALL: Final = 1e-6
_LARGE: Final = 1e21
"""Amounts below and from here are written with an exponent."""
INT64: Final = range(-(2**63), 2**63)

TIME: Final = (
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"T(?P<hour>[01]?[0-9]|2[0-3]):(?P<minute>[0-5][0-9]):(?P<second>[0-5][0-9])"
    r"(?:[.,](?P<fraction>[0-9]++))?"
    r"(?:Z|(?P<sign>[+-])(?P<east>[01][0-9]|2[0-4]):(?P<minutes>[0-5][0-9]|60))"
)
"""What Go's decoder takes, which is more than RFC 3339: one digit of an hour, a comma, an offset of 24:60."""
_TIME: Final = re.compile(TIME)
PLAIN_TIME: Final = (
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
"""What Go's encoder writes: Python's own reader of times understands it."""
_NANO_DIGITS: Final = 9
_MAX_YEAR: Final = 9999
_DAY: Final = 24 * 60
"""Minutes."""


def string(text: str) -> str:
    """A JSON string; a lone surrogate becomes U+FFFD."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return f'"{_SPECIAL.sub(_escaped, text)}"'


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SHORT:
        return _SHORT[character]
    return "\ufffd" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"


def strings(items: Sequence[str] | None) -> str:
    """A list of strings; None is Go's nil, written as null."""
    return "null" if items is None else f"[{','.join(string(item) for item in items)}]"


def table(items: Mapping[str, str] | None) -> str:
    """A map of strings, its keys in the order of their bytes; None is Go's nil, written as null."""
    if items is None:
        return "null"
    pairs = sorted(items.items(), key=lambda pair: pair[0].encode("utf-8", "surrogatepass"))
    return f"{{{','.join(f'{string(key)}:{string(value)}' for key, value in pairs)}}}"


def number(value: float) -> str:
    """A float64 with the fewest digits that spell it; WireError for infinities and NaN, which JSON has not."""
    if not math.isfinite(value):
        raise WireError("it is no amount", why=f"JSON has no {value}")
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    shortest = Decimal(repr(value))
    if _SMALL <= abs(value) < _LARGE:
        plain = f"{shortest:f}"
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    sign, digits, _ = shortest.as_tuple()
    mantissa = "".join(map(str, digits)).rstrip("0")
    fraction = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{'-' if sign else ''}{mantissa[0]}{fraction}e{shortest.adjusted():+d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireTime:
    """A time as Go keeps it: to the nanosecond, with a zone offset. Without arguments it is Go's zero time."""

    year: int = 1
    """0 to 9999."""
    month: int = 1
    day: int = 1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    offset: int = 0
    """Minutes east of UTC."""

    @classmethod
    def of(cls, moment: datetime, nanosecond: int | None = None) -> Self:
        """An aware datetime; `nanosecond` replaces its microseconds."""
        offset = moment.utcoffset()
        if offset is None:
            raise WireError("it is no time", why="it has no zone offset")
        return cls(
            year=moment.year,
            month=moment.month,
            day=moment.day,
            hour=moment.hour,
            minute=moment.minute,
            second=moment.second,
            nanosecond=moment.microsecond * 1000 if nanosecond is None else nanosecond,
            offset=int(offset.total_seconds() // 60),
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """RFC 3339 as Go takes it; digits beyond nanoseconds are dropped. WireError says what is wrong."""
        found = _TIME.fullmatch(text)
        if found is None:
            raise WireError("it is no time", why=_why_not(text))
        year, month, day = int(found["year"]), int(found["month"]), int(found["day"])
        if not 1 <= month <= 12 or not 1 <= day <= _days(year, month):  # noqa: PLR2004 - months
            raise WireError("it is no time", why=f"there is no day {text[:10]}")
        east = (int(found["east"]) * 60 + int(found["minutes"])) if found["sign"] else 0
        return cls(
            year=year,
            month=month,
            day=day,
            hour=int(found["hour"]),
            minute=int(found["minute"]),
            second=int(found["second"]),
            nanosecond=int((found["fraction"] or "0")[:_NANO_DIGITS].ljust(_NANO_DIGITS, "0")),
            offset=-east if found["sign"] == "-" else east,
        )

    def text(self) -> str:
        """As Go writes it: no trailing zeros in the fraction, Z for UTC."""
        if not 0 <= self.year <= _MAX_YEAR:
            raise WireError("it is no time", why=f"the year {self.year} has not four digits")
        if abs(self.offset) >= _DAY:
            raise WireError("it is no time", why="the zone offset is a day or more")
        fraction = f".{self.nanosecond:09d}".rstrip("0") if self.nanosecond else ""
        day = f"{self.year:04d}-{self.month:02d}-{self.day:02d}"
        return f"{day}T{self.hour:02d}:{self.minute:02d}:{self.second:02d}{fraction}{self._zone()}"

    def moment(self) -> datetime | None:
        """The same to the microsecond, in UTC; None for the year of Go's zero time and what no calendar reaches."""
        if self.year <= 1:
            return None
        try:
            local = datetime(
                self.year,
                self.month,
                self.day,
                self.hour,
                self.minute,
                self.second,
                self.nanosecond // 1000,
                timezone(timedelta(minutes=self.offset)),
            )
            return local.astimezone(UTC)
        except (ValueError, OverflowError):
            return None

    def _zone(self) -> str:
        hours, minutes = divmod(abs(self.offset), 60)
        return f"{'-' if self.offset < 0 else '+'}{hours:02d}:{minutes:02d}" if self.offset else "Z"


ZERO: Final = WireTime()
"""Go's zero time."""


def _days(year: int, month: int) -> int:
    return calendar.monthrange(year or 4, month)[1]


def _why_not(text: str) -> str:
    shown = text[:40]
    if re.search(r"\d [\d+-]", text):
        return f"{shown!r} has a space where RFC 3339 has a T, or before the offset"
    if re.search(r"[+-]\d{4}$", text):
        return f"the offset of {shown!r} has no colon"
    if re.search(r"\d$", text) and not re.search(r"[+-]\d\d:\d\d$", text):
        return f"{shown!r} has no zone offset"
    return f"{shown!r} is not RFC 3339"

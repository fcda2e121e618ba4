"""Values of headers: text, decimal digits, or big-endian integers. Hostile bytes never raise."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799_999
"""Milliseconds to the end of the year 9999."""
_LAST_YEAR = 9999
_DIGITS = 19
"""Most digits of a 64-bit number."""
MOST_BYTES = 8


def text(value: bytes | None) -> str:
    """As UTF-8; what is not becomes U+FFFD. Null is empty."""
    return (value or b"").decode("utf-8", "replace")


def digits(value: bytes | None) -> int | None:
    """Digits as a number; None for anything else."""
    plain = (value or b"").strip()
    return int(plain) if plain.isdigit() and len(plain) <= _DIGITS else None


def decimal(value: bytes | None) -> int | None:
    """Digits as a number; by length where they are none."""
    number = digits(value)
    if number is not None or not value:
        return number
    return big_endian(value) if len(value) in {4, 8} else None


def binary(value: bytes | None) -> int | None:
    """An int32 or int64, unless all of it is digits: no partition, offset or time is so large."""
    if not value:
        return None
    if value.isdigit():
        return int(value) if len(value) <= _DIGITS else None
    return big_endian(value) if len(value) in {4, 8} else None


def big_endian(value: bytes | None) -> int | None:
    """A signed big-endian number of any length to eight bytes."""
    return int.from_bytes(value, signed=True) if value and len(value) <= MOST_BYTES else None


def moment(milliseconds: int | None) -> datetime | None:
    """A time in milliseconds since 1970; None where it is no time."""
    if milliseconds is None or not 0 <= milliseconds <= _LATEST:
        return None
    return _EPOCH + timedelta(milliseconds=milliseconds)


def count(number: int | None) -> int | None:
    """None where it is negative."""
    return number if number is not None and number >= 0 else None


def written_time(value: str) -> datetime | None:
    """A time in RFC 3339 of the years 1971 to 9998; None where it is none, or has no zone."""
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo and _EPOCH.year < time.year < _LAST_YEAR else None


def rfc3339(time: datetime) -> bytes:
    """A time in UTC, with milliseconds."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()

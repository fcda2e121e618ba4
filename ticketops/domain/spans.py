"""Spans of time as people read them."""

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_BLINK: Final = 0.05
"""Seconds."""


def age(seconds: float) -> str:
    """`seconds` in two units at most: 12s, 4m12s, 3h02m, 5d04h; two clocks that differ by a blink make no minus."""
    seconds = 0.0 if -_BLINK < seconds < 0 else seconds
    sign, whole = ("-" if seconds < 0 else ""), int(abs(seconds))
    if whole < _MINUTE:
        tenth = f"{abs(seconds):.1f}s" if abs(seconds) < 10 and whole != abs(seconds) else f"{whole}s"  # noqa: PLR2004 - one digit
        return sign + tenth
    if whole < _HOUR:
        return f"{sign}{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{sign}{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{sign}{whole // _DAY}d{whole % _DAY // _HOUR:02}h"

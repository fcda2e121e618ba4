"""How things look: a verdict is a symbol, a word and a color; never a color alone."""

from collections.abc import Sequence
from typing import Final

from rich.style import Style

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check, Unit
from ticketops.domain.spans import age
from ticketops.domain.text import terminal_safe

SYMBOLS: Final = {Grade.BAD: "X", Grade.WARN: "!", Grade.UNKNOWN: "?", Grade.OK: "."}
STYLES: Final = {
    Grade.BAD: Style(color="red", bold=True),
    Grade.WARN: Style(color="yellow"),
    Grade.UNKNOWN: Style(color="magenta"),
    Grade.OK: Style(color="green"),
}
PLAIN: Final = Style()
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_ASCII: Final = "_.:-=+*#"


def sparkline(values: Sequence[float], *, utf8: bool) -> str:
    """Values as bars of eight heights, the largest one full; empty where there are none."""
    if not values:
        return ""
    bars, top = (_BLOCKS if utf8 else _ASCII), max(values) or 1.0
    return "".join(bars[min(int(value / top * (len(bars) - 1) + 0.5), len(bars) - 1)] for value in values)


def value_of(line: Check) -> str:
    """A check's value for a table."""
    if line.value is None:
        return ""
    if line.unit is Unit.SECONDS:
        return f"{line.value * 1000:.0f}ms" if line.value < 1 else age(line.value)
    return f"{line.value:,.0f}".replace(",", " ")


def age_of(seconds: float | None) -> str:
    """An age for a table; empty where there is none."""
    return "" if seconds is None else age(seconds)


def trend_of(line: Check) -> str:
    """Change per second, or per minute where it is slow; empty where it is not known."""
    if line.trend is None or line.unit is not Unit.COUNT:
        return ""
    if not line.trend:
        return "="
    per, unit = (line.trend, "s") if abs(line.trend) >= 1 else (line.trend * 60, "m")
    return f"{per:+.0f}/{unit}" if abs(per) >= 1 else f"{line.trend * 3600:+.1f}/h"


def safe(text: object) -> str:
    """Foreign text on one line, without anything that a terminal obeys."""
    return terminal_safe(str(text))

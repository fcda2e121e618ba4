"""How things look: a verdict is a symbol, a word and a color; never a color alone."""

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.style import Style

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check, Unit
from ticketops.domain.spans import age
from ticketops.domain.text import terminal_safe

SYMBOLS: Final = {Grade.BAD: "X", Grade.WARN: "!", Grade.UNKNOWN: "?", Grade.OK: "."}
STYLES: Final = {
    Grade.BAD: Style(color="#e0455a", bold=True),
    Grade.WARN: Style(color="#b8860b"),
    Grade.UNKNOWN: Style(color="#a566d0"),
    Grade.OK: Style(color="#2e9e4f"),
}
"""Colors that can be read on dark and on light."""
PLAIN: Final = Style()
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_ASCII: Final = "_.:-=+*#"
_TYPED: Final = 20
"""Ids that a command line has, at most."""


def sparkline(values: Sequence[float | None], *, utf8: bool) -> str:
    """Values as bars of eight heights, the largest one full, a gap for None; empty where there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    bars, top = (_BLOCKS if utf8 else _ASCII), max(known) or 1.0
    return "".join(" " if value is None else _bar(bars, max(value, 0.0) / top) for value in values)


def _bar(bars: str, part: float) -> str:
    return bars[min(int(part * (len(bars) - 1) + 0.5), len(bars) - 1)]


def draws_lines(app: object) -> bool:
    """True where the terminal shows more than ASCII."""
    return bool(getattr(app, "utf8", True))


def number(value: float) -> str:
    """A count for a table, in groups of three digits."""
    return f"{value:,.0f}".replace(",", " ")


def value_of(line: Check) -> str:
    """A check's value for a table."""
    if line.value is None:
        return ""
    if line.unit is Unit.SECONDS:
        return f"{line.value * 1000:.0f}ms" if line.value < 1 else age(line.value)
    return number(line.value)


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


def moment_of(at: datetime) -> str:
    """A time for a table, in UTC."""
    return f"{at:%m-%d %H:%M:%S}"


def command_of(*words: str) -> str:
    """A command that can be pasted: nothing in a foreign word is obeyed by a shell or by a terminal."""
    return shlex.join(map(safe, words))


def with_tail(command: str, tail: Sequence[str]) -> str:
    """A command of ours with what it needs at its end to mean the same context; other text as it is."""
    return f"{command} {command_of(*tail)}" if tail and command.startswith("ticketops ") else command


def piped_command_of(ids: Sequence[str], verb: Sequence[str], rest: Sequence[str]) -> str:
    """The same for named ids; many of them come from stdin."""
    if len(ids) <= _TYPED:
        return command_of(*verb, *ids, *rest)
    return command_of(*verb, "-", *rest) + f"  # the {len(ids)} ids on stdin, one a line"


def going_on(ids: Sequence[str], verb: Sequence[str], rest: Sequence[str]) -> str:
    """What goes on with a change that was cut off: the same ids; where none were named, a plan of what is left now."""
    return piped_command_of(ids, verb, rest) if ids else command_of(*verb, "--dry-run", *rest)


def safe(text: object, most: int = 2000) -> str:
    """Foreign text on one line, without anything that a terminal obeys; at most so many characters of it."""
    whole = str(text)
    return terminal_safe(whole) if len(whole) <= most else terminal_safe(whole[:most]) + "…"

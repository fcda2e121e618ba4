"""A rule: a condition in CEL over one area's values, and how long it must hold.

`outbox.oldest > 60s`: a number with a unit is seconds. `lag.verdict in [STOP, STALL]`: verdicts are words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ticketops.domain.alerts.facts import FIELDS, Fact
from ticketops.domain.conditions import NO_RESULT, TEXT, parsed
from ticketops.domain.lag.verdicts import Verdict
from ticketops.errors import ExpressionError

if TYPE_CHECKING:
    import cel

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPAN: Final = re.compile(rf"(?:{TEXT})|(?<![\w.])(\d+(?:\.\d+)?)(ms|s|m|h|d)\b", re.ASCII)
"""Text in quotes, or a number with a unit."""
_TEXT: Final = re.compile(TEXT)
_MEMBER: Final = re.compile(r"\b([a-z]+)\.([a-z_0-9]+)")
_WORDS: Final[Mapping[str, str]] = {verdict.value: verdict.value for verdict in Verdict}
LONGEST: Final = 1000
"""Characters of a condition."""
_HINT: Final = 'write a condition such as dlq.depth > 100 && dlq.queue == "bookings"'


class Severity(StrEnum):
    """How urgent a rule is."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the configuration, not compiled."""

    name: str
    when: str
    """The condition."""
    hold: float = 0.0
    """Seconds that it must hold before the alert fires."""
    severity: Severity = Severity.WARNING
    message: str = ""
    """What to tell; {subject} and the area's values in braces are filled in. Empty: the condition and the values."""
    labels: Mapping[str, str] = field(default_factory=dict)


class Condition:
    """A compiled condition over one area."""

    def __init__(self, area: str, program: "cel.Program") -> None:
        self.area = area
        self._program = program

    def holds(self, fact: Fact) -> bool | None:
        """Whether it holds for a fact of its area; None where the source did not answer, or nothing can be computed."""
        if fact.values is None:
            return None
        try:
            answer = self._program.execute({**_WORDS, self.area: dict(fact.values)})
        except NO_RESULT:
            return None
        return answer if isinstance(answer, bool) else None


def compiled(rule: Rule) -> Condition:
    """The rule's condition; ExpressionError with the place where it is none."""
    where = f"alert rule {rule.name}"
    code, place = _in_seconds(rule.when), partial(_place, rule.when)
    program = parsed(rule.when, name=where, longest=LONGEST, hint=_HINT, code=code, place=place)
    return Condition(_area(where, rule.when, program), program)


def message(rule: Rule, fact: Fact) -> str:
    """What to tell of a fact; a name in braces that the area does not have stays as it is."""
    values: dict[str, Any] = {**(fact.values or {}), "subject": fact.subject, "rule": rule.name}
    if rule.message:
        return re.sub(r"\{(\w+)\}", lambda found: _shown(values.get(found[1], found[0])), rule.message)
    told = ", ".join(f"{name} {_shown(value)}" for name, value in (fact.values or {}).items() if value != fact.subject)
    return f"{fact.area} {fact.subject}: {rule.when} ({told})"


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_seconds(text: str) -> str:
    """The text with spans such as `60s` as seconds; what stands in quotes is left alone."""
    return _SPAN.sub(_seconds, text)


def _seconds(found: re.Match[str]) -> str:
    return f"{float(found[1]) * _UNITS[found[2]]:.3f}" if found[2] else found[0]


def _place(text: str, position: int) -> int:
    """The position in the text of one in `_in_seconds(text)`; that of a span where it is in one."""
    grown = 0
    for found in _SPAN.finditer(text):
        start, length = found.start() + grown, len(_seconds(found))
        if position < start + length:
            return found.start() if found[2] and position > start else position - grown
        grown += length - len(found[0])
    return position - grown


def _area(where: str, text: str, program: "cel.Program") -> str:
    names = [name for name in program.variables() if name not in _WORDS]
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise ExpressionError(
            f"{where} names {unknown[0]}", why="that is no area", hint=f"there are {', '.join(sorted(FIELDS))}"
        )
    if len(names) != 1:
        raise ExpressionError(
            f"{where} names {len(names)} areas", why="a rule looks at one", hint="write a rule for each"
        )
    _check_fields(where, names[0], _TEXT.sub("", text))
    return names[0]


def _check_fields(where: str, area: str, text: str) -> None:
    for named, member in _MEMBER.findall(text):
        if named == area and member not in FIELDS[area]:
            raise ExpressionError(
                f"{where} names {area}.{member}",
                why="there is no such value",
                hint=f"there are {', '.join(FIELDS[area])}",
            )

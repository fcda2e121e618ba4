"""A rule: a condition in CEL over one area's values, and how long it must hold.

`outbox.oldest > 60s`: a number with a unit is seconds. `lag.verdict in [STOP, STALL]`: verdicts are words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ticketops.domain.alerts.facts import FIELDS, Fact
from ticketops.domain.lag.verdicts import Verdict
from ticketops.errors import ExpressionError

if TYPE_CHECKING:
    import cel

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPAN: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(ms|s|m|h|d)\b", re.ASCII)
_TEXT: Final = re.compile(r'("(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\')')
_MEMBER: Final = re.compile(r"\b([a-z]+)\.([a-z_0-9]+)")
_PLACE: Final = re.compile(r"<input>:(\d{1,6}):(\d{1,6}): ([^\n]*)")
_WORDS: Final[Mapping[str, str]] = {verdict.value: verdict.value for verdict in Verdict}
_NO_RESULT: Final = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
LONGEST: Final = 1000


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
        except _NO_RESULT:
            return None
        return answer if isinstance(answer, bool) else None


def compiled(rule: Rule) -> Condition:
    """The rule's condition; ExpressionError with the place where it is none."""
    where = f"alert rule {rule.name}"
    if len(rule.when) > LONGEST:
        raise ExpressionError(f"{where} is too long", why=f"{len(rule.when)} characters, {LONGEST} are taken")
    import cel  # noqa: PLC0415 - a native module that only expressions need

    try:
        program = cel.compile(_in_seconds(rule.when))
    except ValueError as error:
        raise _not_understood(where, rule.when, str(error)) from None
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
    parts = _TEXT.split(text)
    return "".join(part if number % 2 else _SPAN.sub(_seconds, part) for number, part in enumerate(parts))


def _seconds(found: re.Match[str]) -> str:
    return f"{float(found[1]) * _UNITS[found[2]]:.3f}"


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


def _not_understood(where: str, text: str, said: str) -> ExpressionError:
    place = _PLACE.search(said)
    if place is None:
        return ExpressionError(f"{where} cannot be understood", why="it is no CEL expression")
    why = place[3].removeprefix("Syntax error: ").partition(" expecting ")[0]
    return ExpressionError(
        f"{where} cannot be understood",
        why=f"line {place[1]}, column {place[2]}: {why}",
        hint='write a condition such as dlq.depth > 100 && dlq.queue == "bookings"',
        excerpt=f"{text}\n{' ' * (int(place[2]) - 1)}^" if "\n" not in text else "",
    )

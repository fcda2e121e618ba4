"""What happened between two looks: verdicts that turned, what came and what went."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check

_RELAY = "relay"
"""The area whose value, the number of live relays, is an event too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of `status` that turned."""

    at: datetime
    """Of the look that saw it first."""
    area: str
    subject: str
    before: str
    """The word that it had; empty: the line was not there."""
    after: str
    """The word that it has; empty: the line is not there any more."""
    grade: Grade
    """Of what it is now; OK where it went."""
    note: str = ""
    """What the line says; foreign text."""


def events_between(before: Sequence[Check], after: Sequence[Check], at: datetime) -> Iterator[Event]:
    """What turned between the lines of two looks, in the order of the later ones.

    Where a source did not answer at one of them, its lines are not said to have come or gone.
    """
    then = {(line.area, line.subject): line for line in before}
    now = {(line.area, line.subject): line for line in after}
    came = [line for key, line in now.items() if key not in then]
    went = [line for key, line in then.items() if key not in now]
    silent = {line.area for line in (*came, *went) if line.grade is Grade.UNKNOWN}
    for key, line in now.items():
        if key in then:
            yield from _turned(then[key], line, at)
    for line in came:
        if line.area not in silent or line.grade is Grade.UNKNOWN:
            yield _event(line, at, "", line.word, line.grade)
    for line in went:
        if line.area not in silent or line.grade is Grade.UNKNOWN:
            yield _event(line, at, line.word, "", Grade.OK)


def _turned(before: Check, after: Check, at: datetime) -> Iterator[Event]:
    if before.word != after.word:
        yield _event(after, at, before.word, after.word, after.grade)
    elif after.area == _RELAY and None not in {before.value, after.value} and before.value != after.value:
        yield _event(after, at, f"{before.value:.0f} live", f"{after.value:.0f} live", after.grade)


def _event(line: Check, at: datetime, before: str, after: str, grade: Grade) -> Event:
    return Event(at=at, area=line.area, subject=line.subject, before=before, after=after, grade=grade, note=line.note)

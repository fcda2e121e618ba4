"""What the history of a machine tells: counts, stays, what is stuck, and what breaks the table."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from ticketops.domain.machine import Machine
from ticketops.domain.subjects import Subject, Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveCount:
    """How often one transition was made within a window."""

    source: str
    event: str | None
    target: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """How long subjects stayed in one state, of the stays that ended within a window."""

    state: str
    count: int
    median: float
    """Seconds."""
    p95: float
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCount:
    """How many subjects are in one state now."""

    state: str
    count: int
    expired: int = 0
    """Those that the expiry event would move now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Subjects that have been in one state for longer than it may last."""

    state: str
    count: int
    since: datetime
    """When the one that has waited longest came into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A machine's subjects at one moment, without those that may stay where they are for ever."""

    at: datetime
    states: tuple[StateCount, ...]
    """Those in which somebody is."""
    late: tuple[Late, ...]
    moves: tuple[MoveCount, ...]
    """Of the newest transitions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineStats:
    """Everything `state stats` shows."""

    at: datetime
    window: float
    """Seconds that the transitions and stays are of."""
    states: tuple[StateCount, ...]
    moves: tuple[MoveCount, ...]
    stays: tuple[Stay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A subject that has been in its state for longer than that state may last."""

    subject: Subject
    since: datetime | None
    """When it came into its state, of the history; else its last change; None where neither is known."""
    event: str | None
    """What brought it there."""


class Missing(StrEnum):
    """What a stuck subject is likely waiting for."""

    OUTBOX = "outbox"
    """An event of it has not left the outbox."""
    DEAD_LETTER = "dead letter"
    """An event of it is a dead letter."""
    CONSUMER = "consumer"
    """The consumer of its events is behind or away."""
    EXPIRY = "expiry"
    """It is past its time, and nothing has moved it."""
    UNKNOWN = "unknown"
    """Nothing is known of an event that would move it: it was never written."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One finding about what a subject waits for."""

    missing: Missing
    text: str
    next: str = ""
    """The command to run next; empty where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One subject's whole history, and the subject itself as it was at the same moment."""

    key: str
    transitions: tuple[Transition, ...]
    state: str | None
    """None where there is no such subject."""
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Flaw(StrEnum):
    """What can be wrong with a history."""

    NOT_ALLOWED = "not allowed"
    """A transition that the table does not have."""
    WRONG_EVENT = "wrong event"
    """The move is allowed, but the event named leads elsewhere from there."""
    GAP = "gap"
    """A transition does not begin where the one before it ended."""
    NO_BEGINNING = "no beginning"
    """The first transition does not begin in the initial state."""
    STATE_DIFFERS = "state differs"
    """The subject is not where its last transition led: something moved it without a transition."""
    NO_SUBJECT = "no subject"
    """There are transitions of a subject that does not exist."""
    NO_HISTORY = "no history"
    """The subject has left the initial state without any transition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    key: str
    flaw: Flaw
    text: str
    at: datetime | None = None


def faults(machine: Machine, life: Life, *, kept_since: datetime | None, settled: datetime) -> Iterator[Fault]:
    """What is wrong with a life.

    Histories are kept from `kept_since` on (None: for ever), so older subjects may have lost their beginning.
    What happened after `settled` may not be whole yet, for some services write the history in a transaction apart.
    """
    for row in life.transitions:
        yield from _of_row(machine, row)
    for before, after in pairwise(life.transitions):
        if after.source != before.target:
            text = f"{_shown(after)} follows {_shown(before)}"
            yield Fault(key=life.key, flaw=Flaw.GAP, text=text, at=after.at)
    yield from _of_beginning(machine, life, kept_since)
    yield from _of_end(machine, life, kept_since, settled)


def breaks(machine: Machine, row: "Transition | MoveCount") -> Flaw | None:
    """What is wrong with one move by itself; None where the table has it."""
    if is_creation(machine, row):
        return None
    if not machine.allows(row.source, row.target):
        return Flaw.NOT_ALLOWED
    led_to = machine.targets.get((row.source, row.event)) if row.event else None
    return None if led_to in {None, row.target} else Flaw.WRONG_EVENT


def _of_row(machine: Machine, row: Transition) -> Iterator[Fault]:
    flaw = breaks(machine, row)
    if flaw is not None:
        led_to = f"; it leads to {machine.targets[row.source, row.event or '']}" if flaw is Flaw.WRONG_EVENT else ""
        yield Fault(key=row.key, flaw=flaw, text=_shown(row) + led_to, at=row.at)


def _of_beginning(machine: Machine, life: Life, kept_since: datetime | None) -> Iterator[Fault]:
    if not life.transitions or life.transitions[0].source == machine.initial:
        return
    first = life.transitions[0]
    if life.state is None or not _is_whole(life, kept_since):
        return
    yield Fault(key=life.key, flaw=Flaw.NO_BEGINNING, text=f"the first is {_shown(first)}", at=first.at)


def _is_whole(life: Life, kept_since: datetime | None) -> bool:
    """True where nothing of it is so old that it may have been forgotten."""
    return kept_since is None or (life.created_at is not None and life.created_at >= kept_since)


def _of_end(machine: Machine, life: Life, kept_since: datetime | None, settled: datetime) -> Iterator[Fault]:
    last = life.transitions[-1] if life.transitions else None
    touched = max((at for at in (life.updated_at, last and last.at) if at), default=None)
    if touched is not None and touched > settled:
        return
    if last is None:
        if life.state != machine.initial and _is_whole(life, kept_since):
            yield Fault(key=life.key, flaw=Flaw.NO_HISTORY, text=f"it is {life.state}", at=life.updated_at)
    elif life.state is None:
        yield Fault(key=life.key, flaw=Flaw.NO_SUBJECT, text=f"the last is {_shown(last)}", at=last.at)
    elif life.state != last.target:
        text = f"it is {life.state}, the last is {_shown(last)}"
        yield Fault(key=life.key, flaw=Flaw.STATE_DIFFERS, text=text, at=life.updated_at or last.at)


def is_creation(machine: Machine, row: "Transition | MoveCount") -> bool:
    """True for the row that tells of a subject's making."""
    return row.event == machine.creation and row.source == row.target == machine.initial


def _shown(row: Transition) -> str:
    return f"{row.source} -> {row.target}" + (f" by {row.event}" if row.event else "")

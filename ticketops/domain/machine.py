"""State machines: one table of (from, event, to), from which allowed moves and events both follow."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from ticketops.domain.subjects import Field, Subject
from ticketops.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Rule:
    """In state `source`, `event` leads to `target`."""

    source: str
    event: str
    target: str


Payload = Callable[[Subject, datetime, str], Mapping[str, object]]
"""The payload of the outbox event that tells of a subject's new state: the subject, the time, the reason."""


def plain_payload(subject: Subject, at: datetime, reason: str) -> Mapping[str, object]:
    """What is told of a subject of which only its state is known."""
    told: dict[str, object] = {"id": subject.key, "status": subject.state, "timestamp": at.isoformat()}
    return told | ({"reason": reason} if reason else {})


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine is a value. Raises ConfigError where its parts contradict each other."""

    name: str
    rules: tuple[Rule, ...]
    initial: str
    """The state that a subject is made in."""
    terminal: frozenset[str]
    """No event leads out of these."""
    success: frozenset[str] = frozenset()
    """Where a subject may rest for good, though events lead out."""
    creation: str = "CREATE"
    """The event that makes a subject; in the history it leads from `initial` to `initial`, or is left out."""
    expiry: str = "EXPIRE"
    """The event that is refused before the subject's expires_at."""
    aggregate_type: str = "BOOKING"
    """Of its outbox events."""
    announced: Mapping[str, str] = field(default_factory=dict)
    """State = event_type of the outbox event that is written when the state is entered."""
    stamped: Mapping[str, Field] = field(default_factory=dict)
    """State = the column that gets the time when the state is entered."""
    implied: Mapping[str, Mapping[Field, str]] = field(default_factory=dict)
    """Event = the fields that it sets where nothing else is said."""
    payload: Payload = field(default=plain_payload, compare=False)

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Every state, the initial one first, in the order of the table."""
        named = [self.initial, *(state for rule in self.rules for state in (rule.source, rule.target))]
        return tuple(dict.fromkeys([*named, *sorted(self.terminal | self.success)]))

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Every event that moves something, in the order of the table."""
        return tuple(dict.fromkeys(rule.event for rule in self.rules))

    @cached_property
    def targets(self) -> Mapping[tuple[str, str], str]:
        """(state, event) = new state."""
        return {(rule.source, rule.event): rule.target for rule in self.rules}

    @cached_property
    def moves(self) -> frozenset[tuple[str, str]]:
        """Every (from, to) that some event makes."""
        return frozenset((rule.source, rule.target) for rule in self.rules)

    @cached_property
    def resting(self) -> frozenset[str]:
        """States in which a subject may stay for ever."""
        return self.terminal | self.success

    @cached_property
    def expiring(self) -> tuple[str, ...]:
        """The states that the expiry event moves, in the order of the table."""
        return tuple(rule.source for rule in self.rules if rule.event == self.expiry)

    def allows(self, source: str, target: str) -> bool:
        """True where some event leads from `source` to `target`."""
        return (source, target) in self.moves

    def allowed(self, state: str) -> tuple[str, ...]:
        """The events that a state takes."""
        return tuple(rule.event for rule in self.rules if rule.source == state)

    def reaches(self, source: str, target: str) -> bool:
        """True where events lead from `source` to `target`, over any number of states or none."""
        return target in self._reachable[source] if source in self._reachable else False

    @cached_property
    def _reachable(self) -> Mapping[str, frozenset[str]]:
        return {state: frozenset(_walk(state, self.moves)) for state in self.states}


class Why(StrEnum):
    """Why an event does not move a subject."""

    ALREADY = "already there"
    """The event leads to the state that the subject is in: it was applied before."""
    OVERTAKEN = "overtaken"
    """The subject is in a state behind the one that the event leads to: a later event came first."""
    TERMINAL = "terminal state"
    """The subject has ended otherwise."""
    NOT_ALLOWED = "not allowed"
    """The state does not take the event."""
    TOO_EARLY = "too early"
    """The subject has not expired yet."""
    UNKNOWN_EVENT = "unknown event"
    UNKNOWN_STATE = "unknown state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An event that does not move a subject, and what would have."""

    state: str
    event: str
    why: Why
    allowed: tuple[str, ...]
    """The events that the state takes."""

    def __str__(self) -> str:
        takes = f"{self.state} takes {', '.join(self.allowed)}" if self.allowed else f"{self.state} takes no event"
        return f"{self.event} in state {self.state}: {self.why.value}; {takes}"


def decide(
    machine: Machine, state: str, event: str, now: datetime, expires_at: datetime | None = None
) -> str | Refusal:
    """The state that `event` leads to from `state` at `now`, or why it leads nowhere."""
    target = machine.targets.get((state, event))
    if target is None:
        return Refusal(state=state, event=event, why=_why(machine, state, event), allowed=machine.allowed(state))
    if event == machine.expiry and expires_at is not None and now < expires_at:
        others = tuple(name for name in machine.allowed(state) if name != event)
        return Refusal(state=state, event=event, why=Why.TOO_EARLY, allowed=others)
    return target


def _why(machine: Machine, state: str, event: str) -> Why:
    if state not in machine.states:
        return Why.UNKNOWN_STATE
    if event not in machine.events and event != machine.creation:
        return Why.UNKNOWN_EVENT
    led_to = {rule.target for rule in machine.rules if rule.event == event}
    if state in led_to or event == machine.creation:
        return Why.ALREADY
    if state in machine.terminal:
        return Why.TERMINAL
    overtaken = any(machine.reaches(target, state) for target in led_to)
    return Why.OVERTAKEN if overtaken else Why.NOT_ALLOWED


def _walk(start: str, moves: Iterable[tuple[str, str]]) -> set[str]:
    found, waiting = {start}, [start]
    while waiting:
        state = waiting.pop()
        onward = {target for source, target in moves if source == state} - found
        found |= onward
        waiting += onward
    return found


def _check(machine: Machine) -> None:
    _check_unique(machine)
    leaving = {rule.source for rule in machine.rules} & machine.terminal
    if leaving:
        raise _contradiction(machine, f"events lead out of the terminal state {min(leaving)}")
    if machine.initial in machine.terminal:
        raise _contradiction(machine, f"{machine.initial} is initial and terminal")
    unknown = (set(machine.announced) | set(machine.stamped)) - set(machine.states)
    if unknown:
        raise _contradiction(machine, f"there is no state {min(unknown)}")
    unreached = set(machine.states) - _walk(machine.initial, machine.moves)
    if unreached:
        raise _contradiction(machine, f"no event leads to {min(unreached)}")


def _check_unique(machine: Machine) -> None:
    seen: dict[tuple[str, str], str] = {}
    for rule in machine.rules:
        if not (rule.source and rule.event and rule.target):
            raise _contradiction(machine, "a state or event has no name")
        if seen.setdefault((rule.source, rule.event), rule.target) != rule.target:
            raise _contradiction(machine, f"{rule.event} leads from {rule.source} to two states")


def _contradiction(machine: Machine, why: str) -> ConfigError:
    return ConfigError(f"the state machine {machine.name} contradicts itself", why=why)

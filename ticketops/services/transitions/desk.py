"""An operator at one machine: look at a subject, fire an event."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from ticketops.domain.drafts import Draft
from ticketops.domain.machine import Machine, Refusal
from ticketops.domain.operations import AuditEntry
from ticketops.domain.subjects import Change, Subject, Transition
from ticketops.errors import NotFoundError, RefusedError, UsageError
from ticketops.ports.states import StateView
from ticketops.ports.transitions import TransitionStore
from ticketops.services.guard import Access, require_writable
from ticketops.services.transitions.meter import Meter, NoMeter

_PAGE = 1000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything `state show` tells."""

    subject: Subject
    last: Transition | None
    allowed: tuple[str, ...]
    """The events that its state takes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an event would do; made again, and compared, when it is done."""

    subject: Subject
    event: str
    reason: str
    change: Change

    @property
    def lines(self) -> tuple[str, ...]:
        """For people."""
        return tuple(_lines(self))


class StateDesk:
    """One machine's subjects; `actor` as user@host."""

    def __init__(
        self,
        store: TransitionStore,
        view: StateView,
        access: Access,
        actor: str,
        meter: Meter | None = None,
    ) -> None:
        self._store = store
        self._view = view
        self._access = access
        self._actor = actor
        self._meter = meter or NoMeter()

    @property
    def machine(self) -> Machine:
        """What decides."""
        return self._store.machine

    def find(self, text: str) -> Subject:
        """The one subject of a key, reference or payment id. NotFoundError; UsageError where there are several."""
        found = self._store.find(text)
        if not found:
            raise NotFoundError(f"there is no {self.machine.name} {text}", why="it is no key, reference or payment id")
        if len(found) > 1:
            raise UsageError(
                f"{text} means {len(found)} {self.machine.name}s",
                why=", ".join(one.key for one in found[:_SHOWN]),
                hint="name one of these",
            )
        return found[0]

    def show(self, text: str) -> Shown:
        """One subject, how it came where it is, and what it takes next."""
        subject = self.find(text)
        last = deque(self.history_of(subject.key), maxlen=1)
        return Shown(subject, last[0] if last else None, self.machine.allowed(subject.state))

    def history(self, text: str) -> Iterator[Transition]:
        """The transitions of one subject, oldest first; also of a key that has no subject any more."""
        found = self._store.find(text)
        key = self.find(text).key if found else text
        rows = self.history_of(key)
        first = next(rows, None)
        if first is None and not found:
            raise NotFoundError(f"nothing is known of {text}", why="there is no such subject, and no transition of it")
        return _chained(first, rows)

    def history_of(self, key: str) -> Iterator[Transition]:
        """The transitions of a key, oldest first, in pages."""
        after = 0
        while page := self._view.history(key, after=after, limit=_PAGE):
            yield from page
            after = page[-1].number
            if len(page) < _PAGE:
                return

    def plan(self, text: str, event: str, reason: str) -> Plan:
        """What an event would do now. RefusedError where the state does not take it."""
        subject = self.find(text)
        draft = Draft(self.machine, subject, self._view.now(), triggered_by=self._actor)
        self._fire(draft, event, reason)
        return Plan(subject, event, reason, draft.change())

    def fire(self, plan: Plan) -> Change:
        """Do it, in one transaction with its entry in the audit log.

        DeniedError in a read-only context; RefusedError where the subject has moved since the plan was made.
        """
        require_writable(self._access, "state fire")
        with self._store.unit() as unit:
            subject = unit.lock([plan.subject.key]).get(plan.subject.key)
            if subject is None or subject.state != plan.subject.state:
                raise RefusedError(
                    f"{plan.subject.key} has moved meanwhile",
                    why=f"it was {plan.subject.state}, and is {subject.state if subject else 'gone'}",
                    hint="look at it again",
                )
            draft = unit.draft(subject, triggered_by=self._actor)
            self._fire(draft, plan.event, plan.reason)
            change = draft.change()
            unit.save([change])
            unit.audit(self._entry(plan, change))
        self._meter.moved(self.machine.name, [change])
        return change

    def close(self) -> None:
        """Give up connections; idempotent."""
        self._store.close()
        self._view.close()

    def _fire(self, draft: Draft, event: str, reason: str) -> None:
        state = draft.fire(event, reason)
        if isinstance(state, Refusal):
            self._meter.refused(self.machine.name, state)
            allowed = ", ".join(state.allowed)
            raise RefusedError(
                f"{event} is refused in state {state.state}",
                why=state.why.value,
                hint=f"{state.state} takes {allowed}" if allowed else f"{state.state} takes no event",
            )

    def _entry(self, plan: Plan, change: Change) -> AuditEntry:
        details = {"machine": self.machine.name, "event": plan.event, "from": change.before.state}
        return AuditEntry(
            at=change.at,
            actor=self._actor,
            action="state fire",
            target=change.after.key,
            reason=plan.reason,
            result=change.after.state,
            details=details,
        )


def event_of(machine: Machine, said: str) -> str:
    """The machine's event that somebody means, in whatever case; what was said, where it has none."""
    found = [event for event in machine.events if event.casefold() == said.strip().casefold()]
    return found[0] if len(found) == 1 else said.strip()


def _chained(first: Transition | None, rest: Iterator[Transition]) -> Iterator[Transition]:
    if first is not None:
        yield first
        yield from rest


def _lines(plan: Plan) -> Iterator[str]:
    subject, change = plan.subject, plan.change
    called = f" ({subject.reference})" if subject.reference else ""
    yield f"{plan.event}: {subject.key}{called} from {subject.state} to {change.after.state}"
    for name, value in change.fields.items():
        before = getattr(subject, name.value)
        yield f"set {name.value} to {value}" + (f", it is {before}" if before is not None else "")
    for event in change.events:
        yield f"write the outbox event {event.event_type}"
    if plan.reason:
        yield f"reason: {plan.reason}"

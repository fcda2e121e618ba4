"""What the dashboard's screens read in tests: memory backends, with foreign text in every field that can hold it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from support.machines import MemoryMachineBox, booking
from support.snapshots import OUTBOX
from ticketops.backends.memory.annotations import MemoryAnnotations
from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue, MemoryDeaths
from ticketops.backends.memory.operations import MemoryOperationStore
from ticketops.domain.alerts.lifecycle import Alert, Phase, Silence
from ticketops.domain.alerts.rules import Rule
from ticketops.domain.bookings import BOOKING
from ticketops.domain.changes import BatchResult, EventDetail, Group, Left, OutboxStats, Summary
from ticketops.domain.changes import Operation as OutboxOperation
from ticketops.domain.deadletters import DeadLetter, QueueKind
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.operations import AuditEntry, FrozenItem, Operation, Verb
from ticketops.domain.outbox import EventRow, FailureState, Status
from ticketops.domain.overview.snapshot import AlertFigures
from ticketops.domain.relay import MemberStatus, Pause, PauseScope, RelayStatus, Report, ShardStatus
from ticketops.domain.selectors import Selector
from ticketops.domain.subjects import Transition
from ticketops.domain.trace.facts import Facts, Identity
from ticketops.domain.trace.gaps import Gap
from ticketops.domain.trace.timeline import timeline
from ticketops.errors import BackendUnavailable, NotFoundError
from ticketops.options import OutboxOptions
from ticketops.options.alerts import AlertsOptions, RuleOptions
from ticketops.services.alerts.desk import AlertDesk
from ticketops.services.dlq.changing import Desk
from ticketops.services.dlq.detail import Memory
from ticketops.services.guard import Access
from ticketops.services.trace.tracer import SourceState, Story
from ticketops.services.transitions.desk import StateDesk
from ticketops.services.transitions.expiry import Expiry
from ticketops.services.transitions.stuck import StuckFinder
from ticketops.tui.alert_changes import AlertChanges, AlertMeans
from ticketops.tui.letter_changes import LetterChanges, Means
from ticketops.tui.operation_changes import OperationChanges
from ticketops.tui.outbox_changes import OutboxChanges, OutboxMeans, PauseChanges
from ticketops.tui.sources import Letters, Sources, Verbs
from ticketops.tui.state_changes import StateChanges, StateMeans

T = TypeVar("T")
KEY = "810fd4ce-a99a-4b1e-b272-fd0b8470439c"


@dataclass
class Known:
    """Everything that can be read; `text` is foreign."""

    text: str = "plain"
    read_only: bool = False
    """The context's; services refuse changes then."""
    up: bool = True
    """False: nothing answers."""
    queue: str = "memory"
    """What the dead-letter queue calls itself."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    asked: list[str] = field(default_factory=list)
    """Every opening, in order."""

    def __post_init__(self) -> None:
        self.deaths = MemoryDeaths(self.clock)
        self.outbox = ToldOutbox(self.text)
        self.alerts = ToldAlerts(self.text)
        self.relays = ToldRelays(self.text)
        for number in range(3):
            letter = DeadLetter(
                id=f"{number}{self.text}",
                queue="bookings",
                kind=QueueKind.REDIS,
                key=self.text,
                origin=str(number),
                reason=self.text,
                error_message=self.text,
                stack=self.text,
                failed_at=self.clock() - timedelta(minutes=3 - number),
                payload=self.text.encode(),
                metadata={self.text: self.text},
                destination=self.text,
            )
            self.deaths.add(letter)
        self.machine = MemoryMachineBox()
        old = replace(booking(), key=KEY, state="PENDING", reference=self.text)
        self.machine.put(old, changed=7200)
        self.machine.rows.history.append(
            Transition(
                number=1,
                id="1",
                key=KEY,
                source=self.text,
                target="PENDING",
                event=self.text,
                triggered_by=self.text,
                reason=self.text,
                at=datetime.now(UTC) - timedelta(hours=1),
            )
        )
        self.operations = MemoryOperationStore()
        self.annotations = MemoryAnnotations()
        now = self.operations.now()
        operation = Operation(
            id=uuid4(),
            verb=Verb.REQUEUE,
            queues=(self.text,),
            actor=self.text,
            reason=self.text,
            selector={self.text: self.text},
            cutoff=now,
            created_at=now,
        )
        item = FrozenItem(queue=self.text, id=self.text, digest="", origin="o", key=self.text)
        self.operations.create(operation, [item])
        self.operations.audit(
            AuditEntry(
                at=now, actor=self.text, action=self.text, target=self.text, reason=self.text, details={"a": self.text}
            )
        )

    def sources(self) -> Sources:
        return Sources(
            letters=Letters(
                lambda _: self._queue(), ("bookings",), self._now, LetterChanges(self.means()), self._memory()
            ),
            outbox=lambda: self._up("outbox", self.outbox),
            relays=lambda: self._up("relay", self.relays),  # type: ignore[arg-type]  # what is asked of it is there
            states=lambda _: self._up("state", self.machine.view()),
            desks=lambda _: self._up("state", self._state_desk()),
            stuck=lambda _: self._up("stuck", StuckFinder(BOOKING, self.machine.view(), {"PENDING": 900.0}, {})),
            store=lambda: self._up("store", self.operations),
            trace=lambda key: self._up("trace", self._story(key)),
            verbs=self._verbs(),
            alerts=lambda: self._up("alerts", self.alerts),  # type: ignore[arg-type]  # what is asked of it is there
            rules=(Rule(name=self.text, when=self.text), Rule(name="quiet", when="dlq.depth > 1", hold=60.0)),
            machine=lambda _: BOOKING,
        )

    def _memory(self) -> Memory:
        return Memory(lambda: self._up("store", self.operations), lambda: self._up("store", self.annotations))

    def _queue(self) -> MemoryDeadLetterQueue:
        return self._up("dlq", MemoryDeadLetterQueue(self.deaths, name=self.queue))

    def means(self) -> Means:
        return Means(
            desk=self._desk,
            look=lambda _: self._queue(),
            change=lambda _: self._queue(),
            now=self._now,
            cap=3,
            context="PROD-EU",
            tail=("--context", "PROD-EU"),
        )

    def _verbs(self) -> Verbs:
        access = Access("PROD-EU", self.read_only)
        outbox = OutboxMeans(
            admin=lambda: self._up("outbox", self.outbox),
            leases=lambda: self._up("relay", self.relays),  # type: ignore[arg-type]  # what is asked of it is there
            access=access,
            options=OutboxOptions(),
            shards=2,
            actor="op@host",
        )
        box = self.machine
        states = StateMeans(
            desk=lambda _: self._up("state", self._state_desk()),
            expiry=lambda _, author: self._up("state", Expiry(box.store(), box.view(), author)),
            access=access,
            actor="op@host",
        )
        return Verbs(
            operations=OperationChanges(self.means()),
            outbox=OutboxChanges(outbox),
            pauses=PauseChanges(outbox),
            states=StateChanges(states),
            alerts=AlertChanges(AlertMeans(desk=self._alert_desk)),
        )

    def _state_desk(self) -> StateDesk:
        return StateDesk(self.machine.store(), self.machine.view(), Access("PROD-EU", self.read_only), "op@host")

    @contextmanager
    def _alert_desk(self) -> Iterator[AlertDesk]:
        rules = {name: RuleOptions(when="x > 1") for name in (self.text, "over")}
        access = Access("PROD-EU", self.read_only)
        store: Any = self._up("alerts", self.alerts)
        yield AlertDesk(store, AlertsOptions(rules=rules), access, "op@host")

    @contextmanager
    def _desk(self) -> Iterator[Desk]:
        access = Access("PROD-EU", self.read_only)
        store = self._up("store", self.operations)
        yield Desk(store=store, annotations=self.annotations, access=access, actor="op@host")

    def _now(self) -> datetime:
        return self.clock()

    def _up(self, name: str, opened: T) -> T:
        self.asked.append(name)
        if not self.up:
            raise BackendUnavailable(self.text, why=self.text)
        return opened

    def _story(self, key: str) -> Story:
        facts = Facts(identity=Identity(key=key), transitions=self.machine.rows.history)
        gaps = (Gap(grade=Grade.BAD, text=self.text, next=self.text),)
        sources = (SourceState(name=self.text, error=self.text),)
        return Story(at=self._now(), facts=facts, entries=timeline(facts), gaps=gaps, sources=sources)


def everything_of(known: Known) -> object:
    """All that a change would alter."""
    rows = known.machine.rows
    return (
        dict(known.deaths.letters),
        known.operations.log(limit=100),
        [one.state for one in known.operations.recent(limit=100)],
        dict(known.annotations.held("memory")),
        list(known.outbox.done),
        dict(known.relays.pauses),
        dict(known.alerts.quiet),
        dict(rows.subjects),
        len(rows.history),
    )


@dataclass
class ToldAlerts:
    """What a store of alerts says."""

    text: str

    def now(self) -> datetime:
        return datetime.now(UTC)

    def alerts(self) -> list[Alert]:
        then = self.now() - timedelta(minutes=5)
        known = {"rule": self.text, "subject": self.text, "since": then, "seen_at": then, "message": self.text}
        return [
            Alert(phase=Phase.FIRING, fired_at=then, **known),
            Alert(phase=Phase.RESOLVED, resolved_at=then, **{**known, "rule": "over"}),
        ]

    def __post_init__(self) -> None:
        until = self.now() + timedelta(hours=1)
        first = Silence(id=7, rule=self.text, subject="*", until=until, by=self.text, reason=self.text, at=self.now())
        self.quiet = {7: first}

    def silences(self) -> list[Silence]:
        return list(self.quiet.values())

    def silence(self, silence: Silence) -> Silence:
        return self.quiet.setdefault(8, replace(silence, id=8))

    def unsilence(self, number: int) -> bool:
        return self.quiet.pop(number, None) is not None

    def figures(self) -> AlertFigures:
        return AlertFigures(firing=1, pending=0, undelivered=1, last_error=self.text, evaluated_seconds=3.0)

    def close(self) -> None:
        """Nothing to give up."""


@dataclass
class ToldOutbox:
    """What the dashboard asks of ports.OutboxAdmin; anything else is a fault of the caller."""

    text: str
    id: UUID = field(default_factory=lambda: UUID(KEY))
    selected: list[tuple[Selector, bool]] = field(default_factory=list)
    done: list[tuple[str, ...]] = field(default_factory=list)
    """Changes, in order."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def stats(self, window: float) -> OutboxStats:
        group = Group(
            status="PENDING",
            aggregate_type=self.text,
            count=OUTBOX.pending,
            oldest=self.now() - timedelta(hours=1),
            recent_in=3,
            recent_out=2,
        )
        return OutboxStats(
            at=self.now(), window=window, groups=(group,), held_back=1, dead=2, oldest_pending=group.oldest
        )

    def rows(self, selector: Selector) -> Iterator[EventRow]:
        assert selector.limit
        yield self._event()

    def _event(self) -> EventRow:
        return EventRow(
            id=self.id,
            aggregate_type=self.text,
            aggregate_id=self.text,
            event_type=self.text,
            payload=self.text,
            status=Status.PENDING,
            created_at=self.now(),
            published_at=None,
            retry_count=2,
            last_error=self.text,
            seq=1,
            failure=FailureState.BLOCKED,
            retry_at=None,
        )

    def show(self, event_id: UUID) -> EventDetail:
        if event_id != self.id:
            raise NotFoundError("there is no such event")
        return EventDetail(event=self._event(), before=3, error=self.text, trace_parent=self.text)

    def missing(self, ids: Sequence[UUID]) -> tuple[UUID, ...]:
        return tuple(id_ for id_ in ids if id_ != self.id)

    def summarize(self, selector: Selector) -> Summary:
        at, count = self.now(), 1 if selector.ids else 2
        return Summary(
            count=count,
            oldest=at,
            newest=at,
            by_status={"FAILED": count},
            by_type={self.text: count},
            reasons=((self.text, count),),
        )

    def select(self, selector: Selector, *, companions: bool = False) -> list[bytes]:
        self.selected.append((selector, companions))
        return [id_.bytes for id_ in selector.ids] or [self.id.bytes, uuid4().bytes]

    def begin(self, operation: OutboxOperation) -> None:
        self.done.append(("begin", operation.actor, operation.reason))

    def retry(self, _: OutboxOperation, ids: Sequence[bytes]) -> BatchResult:
        self.done.append(("retry", *map(bytes.hex, ids)))
        return BatchResult(len(ids))

    def skip(self, _: OutboxOperation, ids: Sequence[bytes]) -> BatchResult:
        self.done.append(("skip", *map(bytes.hex, ids)))
        return BatchResult(len(ids))

    def end(self, _: OutboxOperation, result: str, left: Mapping[Left, int]) -> None:
        self.done.append(("end", result, str(len(left))))

    def close(self) -> None:
        """Nothing to give up."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"the dashboard called {name}")


@dataclass
class ToldRelays:
    """The status of relays, and pauses."""

    text: str

    def __post_init__(self) -> None:
        at = datetime.now(UTC)
        self.pauses = {(PauseScope.TOPIC, self.text): Pause(PauseScope.TOPIC, self.text, self.text, self.text, at)}

    def pause(self, scope: PauseScope, value: str, by: str, reason: str) -> Pause:
        return self.pauses.setdefault((scope, value), Pause(scope, value, by, reason, datetime.now(UTC)))

    def resume(self, scope: PauseScope, value: str, _by: str, _reason: str) -> bool:
        return self.pauses.pop((scope, value), None) is not None

    def status(self) -> RelayStatus:
        now = datetime.now(UTC)
        report = Report(rate=3.0, last_error=self.text)
        return RelayStatus(
            at=now,
            members=(MemberStatus(self.text, self.text, 7, "1", now, 2.0, live=True, shards=1, report=report),),
            shards=(ShardStatus(0, self.text, 4, 9.0, 0, None), ShardStatus(1, None, 4, None, 2, 3.0)),
            pauses=tuple(self.pauses.values()),
        )

    def close(self) -> None:
        """Nothing to give up."""

"""How a lane chooses what to send: topics, poison suspects, the first of each troubled aggregate."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ticketops.domain.outbox import Aggregate, FailurePolicy, PendingEvent
from ticketops.domain.records import ANY_TYPE, record_for, topic_of
from ticketops.domain.relay import Delivery, OutgoingRecord, Pause, PauseScope, Unfinished

LIVED = 2.0
"""Seconds: an owner that was alive this long after it began a batch was not killed by what is in it."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Where records go and what happens when they cannot."""

    topics: Mapping[str, str]
    on_failure: FailurePolicy
    on_failure_by_topic: Mapping[str, FailurePolicy]
    no_headers: frozenset[str]
    trace_field: str = ""
    """The payload's field that holds the trace context; empty: none."""

    def policy(self, topic: str | None) -> FailurePolicy:
        """The failure policy of a topic, or of an event that has none."""
        return self.on_failure_by_topic.get(topic, self.on_failure) if topic else self.on_failure

    def record(self, event: PendingEvent) -> OutgoingRecord | None:
        """The record of an event; None where its aggregate type has no topic."""
        topic = topic_of(event.aggregate_type, self.topics)
        if topic is None:
            return None
        return record_for(event, topic, headers=topic not in self.no_headers, trace_field=self.trace_field)


@dataclass(slots=True)
class Batch:
    """Events that go out together, with their records by the same index."""

    events: list[PendingEvent] = field(default_factory=list)
    records: list[OutgoingRecord] = field(default_factory=list)
    refused: list[tuple[PendingEvent, str | None, str]] = field(default_factory=list)
    """Events that cannot be sent at all, with their topic and why."""
    alone: bool = False
    """To be sent while this process sends nothing else, because it may be what kills it."""

    @property
    def ids(self) -> tuple[bytes, ...]:
        """Ids of the events to be sent."""
        return tuple(event.id for event in self.events)

    @property
    def touched(self) -> list[PendingEvent]:
        """Every event that the batch has an outcome for."""
        return [*self.events, *(event for event, _, _ in self.refused)]


def without(events: Sequence[PendingEvent], ids: frozenset[bytes]) -> list[PendingEvent]:
    """`events` without these ids and without what follows one of them in its aggregate."""
    if not ids:
        return list(events)
    closed: set[Aggregate] = set()
    kept: list[PendingEvent] = []
    for event in events:
        aggregate = event.aggregate
        if event.id in ids:
            closed.add(aggregate)
        elif aggregate not in closed:
            kept.append(event)
    return kept


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch, per event."""

    published: list[PendingEvent]
    refused: list[tuple[PendingEvent, str | None, str]]
    """Event, topic and why; the first of its aggregate only."""
    held: int
    """Events to be sent again; their turn comes with the next read."""


def outcome_of(batch: Batch, delivery: Delivery) -> Outcome:
    """Sort a batch's events by what Kafka answered."""
    if not delivery.refused and not delivery.unsent:
        return Outcome(batch.events, batch.refused, 0)
    published: list[PendingEvent] = []
    refused = list(batch.refused)
    seen = {event.aggregate for event, _, _ in refused}
    for index, event in enumerate(batch.events):
        error = delivery.refused.get(index)
        if error is not None and event.aggregate not in seen:
            seen.add(event.aggregate)
            refused.append((event, batch.records[index].topic, f"{error.message} ({error.code})"))
        elif error is None and index not in delivery.unsent:
            published.append(event)
    return Outcome(published, refused, len(batch.touched) - len(published) - len(refused))


def blames(unfinished: Unfinished) -> bytes | None:
    """The event that may have killed its relay: alone in its batch, and the relay died soon after it began."""
    return unfinished.lone if unfinished.survived < LIVED else None


def paused_types(pauses: Iterable[Pause], topics: Mapping[str, str], types: Iterable[str]) -> frozenset[str]:
    """The aggregate types that pauses of types and topics keep back, among those known."""
    paused_topics = {pause.value for pause in pauses if pause.scope is PauseScope.TOPIC}
    named = {pause.value for pause in pauses if pause.scope is PauseScope.AGGREGATE_TYPE}
    known = ({*topics} | {*types}) - {ANY_TYPE}
    return frozenset(named | {t for t in known if topic_of(t, topics) in paused_topics})


def paused_shards(pauses: Iterable[Pause], shards: int) -> frozenset[int]:
    """The shards that are paused; all of them under a pause of everything."""
    kinds = list(pauses)
    if any(pause.scope is PauseScope.ALL for pause in kinds):
        return frozenset(range(shards))
    return frozenset(int(pause.value) for pause in kinds if pause.scope is PauseScope.SHARD)

"""`ticketops outbox replay`: published events are published again; their rows stay as they are."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from ticketops.domain.changes import ChangeResult, Left, Operation
from ticketops.domain.outbox import PendingEvent
from ticketops.domain.records import REPLAY, record_for, topic_of
from ticketops.domain.relay import Delivery, OutgoingRecord
from ticketops.errors import BackendUnavailable, NotFoundError, PublisherBroken
from ticketops.options import OutboxOptions
from ticketops.ports.outbox import OutboxAdmin
from ticketops.ports.relay import Publisher
from ticketops.services.outbox_admin import Plan, Tally, Who, operation_of

BATCH = 500
"""Events that are read and sent at a time."""
_SLICE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How a replay goes about it."""

    rate: float | None = None
    """Most events per second; None: as fast as Kafka takes them."""
    patience: float = 60.0
    """Seconds without an acknowledgement after which Kafka is given up."""
    clock: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)


class Replay:
    """One replay; `last` tells where it stands when it is interrupted."""

    def __init__(self, admin: OutboxAdmin, publisher: Publisher, outbox: OutboxOptions, options: ReplayOptions) -> None:
        self._admin = admin
        self._publisher = publisher
        self._outbox = outbox
        self._options = options
        self.last: UUID | None = None
        """The last event of the last batch that is done; go on after it."""

    def run(self, plan: Plan, who: Who, progress: Callable[[int, int], None]) -> ChangeResult:
        """Publish the plan's events in order; BackendUnavailable where Kafka takes none for too long."""
        operation = operation_of(plan, who)
        self._admin.begin(operation)
        tally = Tally()
        try:
            for done, batch in self._batches(plan.ids):
                self._send(operation, batch, tally)
                self.last = UUID(bytes=batch[-1])
                progress(done, len(plan.ids))
        except BaseException:
            self._admin.end(operation, f"interrupted after {self.last}", tally.left)
            raise
        self._admin.end(operation, "partly" if tally.left else "done", tally.left)
        return tally.result(operation.id)

    def _batches(self, ids: Sequence[bytes]) -> Iterator[tuple[int, Sequence[bytes]]]:
        """Batches that together keep the rate; a batch is never more than a second's worth."""
        rate = self._options.rate
        size = BATCH if rate is None else max(1, min(BATCH, int(rate)))
        due = self._options.clock()
        for start in range(0, len(ids), size):
            batch = ids[start : start + size]
            yield start + len(batch), batch
            if rate is not None:
                due = max(due, self._options.clock() - 1.0) + len(batch) / rate
                self._options.sleep(max(0.0, due - self._options.clock()))

    def _send(self, operation: Operation, batch: Sequence[bytes], tally: Tally) -> None:
        events = self._admin.events(batch)
        there = {event.id for event in events}
        tally.add(0, [(event_id, Left.GONE) for event_id in batch if event_id not in there])
        records: list[OutgoingRecord] = []
        sent: list[PendingEvent] = []
        for event in events:
            record = self._record(operation, event)
            why = Left.NO_TOPIC if record is None else Left.REFUSED if self._publisher.refuse(record) else None
            if record is None or why is not None:
                tally.add(0, [(event.id, why or Left.NO_TOPIC)])
            else:
                records.append(record)
                sent.append(event)
        refused = self._deliver(records)
        tally.add(len(records) - len(refused), [(sent[index].id, Left.REFUSED) for index in sorted(refused)])
        self._admin.count(operation, len(records) - len(refused))

    def _record(self, operation: Operation, event: PendingEvent) -> OutgoingRecord | None:
        topic = topic_of(event.aggregate_type, self._outbox.topics)
        if topic is None:
            return None
        extra = ((REPLAY, str(operation.id).encode()),)
        field = "" if self._outbox.columns.trace_parent else self._outbox.trace_field
        headers = topic not in self._outbox.no_headers
        return record_for(event, topic, headers=headers, extra=extra, trace_field=field)

    def _deliver(self, records: Sequence[OutgoingRecord]) -> frozenset[int]:
        """Send until everything is acknowledged or refused; the refused ones, by index."""
        left = dict(enumerate(records))
        refused: set[int] = set()
        deadline = self._options.clock() + self._options.patience
        while left:
            order = list(left)
            delivery = self._attempt([left[index] for index in order], deadline)
            unsent = {order[position] for position in delivery.unsent}
            refused |= {order[position] for position in delivery.refused}
            if len(unsent) < len(left):
                deadline = self._options.clock() + self._options.patience
            elif self._options.clock() > deadline:
                raise BackendUnavailable(
                    "Kafka", why=delivery.reason, hint="check the brokers, then go on with --after"
                )
            left = {index: record for index, record in left.items() if index in unsent}
        return frozenset(refused)

    def _attempt(self, records: Sequence[OutgoingRecord], deadline: float) -> Delivery:
        everything = frozenset(range(len(records)))
        try:
            self._publisher.start(records)
            while (delivery := self._publisher.finish(_SLICE)) is None:
                if self._options.clock() > deadline:
                    self._publisher.abandon()
                    return Delivery(unsent=everything, reason="no acknowledgement")
        except PublisherBroken as error:
            self._publisher.abandon()
            self._options.sleep(_SLICE)
            return Delivery(unsent=everything, reason=str(error))
        return delivery


def after(plan: Plan, event_id: UUID) -> Plan:
    """The plan without the events up to and including `event_id`; NotFoundError where it is not among them."""
    try:
        position = plan.ids.index(event_id.bytes)
    except ValueError:
        raise NotFoundError(
            f"event {event_id} is not among the {len(plan.ids)} that are selected",
            hint="give the same selector as before, with the times that were printed",
        ) from None
    rest = plan.ids[position + 1 :]
    return replace(plan, ids=rest, lines=(f"go on after {event_id}: {len(rest)} events are left", *plan.lines))

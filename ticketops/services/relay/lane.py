"""One lane of the relay: reads, begins, publishes and settles the events of its shards, batch after batch.

While Kafka acknowledges one batch the next is being read. No transaction is open meanwhile.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID, uuid4

from ticketops.domain.lanes import Batch, Outcome, Routes, blames, outcome_of, without
from ticketops.domain.outbox import Aggregate, PendingEvent
from ticketops.domain.relay import Delivery, Failed, Lease, Settlement, Takeover
from ticketops.domain.retry import RetryPolicy, judge
from ticketops.errors import BackendUnavailable, LeaseLost, TicketOpsError
from ticketops.options import RelayOptions
from ticketops.ports.relay import OutboxSource, Publisher
from ticketops.services.relay.careful import Careful
from ticketops.services.relay.observer import Observer
from ticketops.services.relay.reader import Reader
from ticketops.services.relay.settler import Conclusion, Settled, Settler
from ticketops.services.relay.state import Assignment, RelayState

_PATIENCE = 0.25
"""Seconds between looks at the leases while Kafka has not answered."""
_SLOW = 5.0
"""Seconds without an acknowledgement after which the relay says that it waits for Kafka."""
_UNMARKED_EVERY = 2.0
"""Seconds between attempts to mark published rows that somebody has locked."""
_IN_VAIN = 5
"""Batches in a row of which Kafka took nothing, after which the relay says that it waits for Kafka."""
_AFTER_REFUSAL = 0.2
"""Seconds to rest after a batch of which Kafka took a part only."""
_TURN = 0.02
"""Seconds to rest while another lane sends alone, or until it can."""
_DIED = "the relay died while it sent this event"


@dataclass(slots=True)
class Unmarked:
    """Published events whose rows are locked by somebody, with their shards."""

    shard_of: dict[bytes, int]
    due: float = 0.0


@dataclass(slots=True)
class InVain:
    """Batches in a row of which Kafka took nothing."""

    batches: int = 0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class LaneSetup:
    """What the lanes of one relay have in common."""

    routes: Routes
    options: RelayOptions
    state: RelayState
    observer: Observer
    gives_up: Callable[[], bool]
    """Ends the wait for Kafka."""
    poll: Callable[[], float]
    """Seconds to rest when nothing is pending."""
    clock: Callable[[], float] = time.monotonic


class Lane:
    """Serves the shards of its assignment; `step` is one batch."""

    def __init__(
        self, name: str, source: OutboxSource, marker: OutboxSource, publisher: Publisher, setup: LaneSetup
    ) -> None:
        """`marker` is a second source of the same events, for writing while the first one reads."""
        self.name = name
        self.assignment = Assignment()
        self._empty_for: frozenset[Lease] | None = None
        """The leases for which the last step found nothing to do."""
        self._source = source
        self._publisher = publisher
        self._setup = setup
        self._routes, self._state, self._observer = setup.routes, setup.state, setup.observer
        options = setup.options
        self._batch_size = options.batch_size
        self._retry = RetryPolicy(options.max_attempts, options.retry_base, options.retry_cap)
        self._clock = setup.clock
        self._reader = Reader(source, setup.routes, options, setup.state, setup.clock)
        self._careful = Careful()
        self._blamed: list[tuple[Lease, bytes]] = []
        self._ahead: list[PendingEvent] = []
        self._settler = Settler(marker)
        self._unmarked = Unmarked({})
        self._in_vain = InVain()

    def step(self) -> float:
        """Send one batch; answers the seconds to rest before the next."""
        try:
            if self.assignment.changed:
                self._settle_before_orders()
            self._take_orders()
            self._finish_old_business()
            batch = self._next_batch()
            drained = not (batch.touched or self._unmarked.shard_of)
            self._empty_for = self.assignment.served if drained else None
            if batch.touched:
                return self._send_in_turn(batch)
            self._state.turns.leave(self.name)
            return self._setup.poll()
        except LeaseLost:
            self._drop_everything()
            raise

    @property
    def idle(self) -> bool:
        """True while nothing is pending in the shards that the lane has now, what is held back apart."""
        return self._empty_for == self.assignment.held

    def close(self) -> None:
        """Give up connections."""
        self._publisher.close()
        self._source.close()
        try:
            self._finish_settling()
        except TicketOpsError as error:
            self._observer.left_unmarked(len(self._settler.ids), str(error))
        finally:
            self._settler.close()

    def _drop_everything(self) -> None:
        """A lease was lost, it is not known which: let go of all; the coordinator shares them out again."""
        self._publisher.abandon()
        self._state.turns.leave(self.name)
        self.assignment.forget(self.assignment.served)
        self._ahead, self._blamed = [], []
        self._settler.drop()
        self._unmarked = Unmarked({})
        self._careful = Careful()
        self._reader.restart()

    def _settle_before_orders(self) -> None:
        """Shards go back when nothing of them is unmarked; where the database is away, it costs repeats."""
        with suppress(BackendUnavailable):
            self._finish_settling()

    def _take_orders(self) -> None:
        new, gone = self.assignment.take()
        if new or gone:
            self._ahead = []
            self._reader.restart()
        for lease in gone:
            self._careful.forget(lease.shard)
        for takeover in new:
            self._examine(takeover)

    def _examine(self, takeover: Takeover) -> None:
        if takeover.unfinished is None:
            return
        self._observer.took_over(takeover.lease.shard, takeover.unfinished)
        self._careful.suspect(takeover.lease.shard, takeover.unfinished)
        if (event_id := blames(takeover.unfinished)) is not None:
            self._blamed.append((takeover.lease, event_id))

    def _finish_old_business(self) -> None:
        """What an unreachable database, a lock or a crash left to be written."""
        if self._settler.stuck:
            self._finish_settling()
        while self._blamed:
            self._blame(*self._blamed[0])
        if self._unmarked.shard_of and self._clock() >= self._unmarked.due:
            self._mark_again()

    def _blame(self, lease: Lease, event_id: bytes) -> None:
        event = self._source.find(lease, event_id) if lease in self.assignment.served else None
        self._blamed.pop(0)
        if event is None:
            return
        record = self._routes.record(event)
        failed = self._judged(event, record.topic if record else None, _DIED)
        self._note(self._settler.write(Conclusion(Settlement(frozenset({lease}), (), failed=(failed,)))))

    def _mark_again(self) -> None:
        held = {lease.shard: lease for lease in self.assignment.served}
        shard_of = {i: shard for i, shard in self._unmarked.shard_of.items() if shard in held}
        leases = frozenset(held[shard] for shard in shard_of.values())
        self._unmarked.due = self._clock() + _UNMARKED_EVERY
        self._finish_settling()
        left = self._source.settle(Settlement(leases, tuple(shard_of), patient=False))
        self._unmarked.shard_of = {i: shard_of[i] for i in left}

    def _next_batch(self) -> Batch:
        if self._reader.outdated:
            self._ahead = []
        leases = self._reader.allowed(self.assignment.served)
        if not leases:
            return Batch()
        if not self._ahead:
            self._finish_settling()
        suspects = self._next_suspects(leases)
        if suspects:
            return self._compose(suspects, alone=True)
        events, self._ahead = self._ahead, []
        if not events:
            events = self._reader.read(leases, self._batch_size, tuple(self._unmarked.shard_of))
        return self._compose(events)

    def _next_suspects(self, leases: frozenset[Lease]) -> list[PendingEvent]:
        """A few events of a shard whose owner died; none once every shard is trusted."""
        lease_of = {lease.shard: lease for lease in leases}
        while (suspect := self._careful.next(frozenset(lease_of))) is not None:
            shard, size = suspect
            unmarked = tuple(self._unmarked.shard_of)
            events = self._reader.read_alone(lease_of[shard], min(size, self._batch_size), unmarked)
            if events:
                return events
            self._careful.sent(shard, 0)
        return []

    def _compose(self, events: list[PendingEvent], *, alone: bool = False) -> Batch:
        """Make records; an event with a failed attempt goes by itself."""
        batch = Batch(alone=alone)
        closed: set[Aggregate] = set()
        paused = self._reader.paused()
        for event in events:
            if closed and event.aggregate in closed:
                continue
            if event.aggregate_type in paused:
                continue
            record = self._routes.record(event)
            why = self._publisher.refuse(record) if record else "its aggregate type has no topic in outbox.topics"
            if record is None or why:
                batch.refused.append((event, record.topic if record else None, why or ""))
                closed.add(event.aggregate)
                continue
            if event.attempts and batch.events:
                break
            batch.events.append(event)
            batch.records.append(record)
            if event.attempts:
                batch.alone = True
                break
        return batch

    def _send_in_turn(self, batch: Batch) -> float:
        turns = self._state.turns
        if not turns.take(self.name, alone=batch.alone):
            self._ahead = [] if batch.alone else batch.events
            return _TURN
        try:
            return self._send(batch)
        finally:
            turns.leave(self.name)

    def _send(self, batch: Batch) -> float:
        leases = self._leases_of(batch.touched)
        self._state.require_lease(self._clock())
        started = self._clock()
        delivery, ahead, taken, batch_id = Delivery(), [], frozenset[bytes](), None
        if batch.events:
            batch_id = _batch_id(batch.ids)
            taken = self._source.begin(batch_id, leases, batch.events)
            if taken:
                batch = self._compose(without(batch.events, taken))
            self._publisher.start(batch.records)
            if len(batch.events) * 2 >= self._batch_size and not (taken or batch.alone):
                ahead = self._read_ahead(batch)
            delivery = self._await(leases, len(batch.events))
        outcome = outcome_of(batch, delivery)
        self._note_progress(outcome, delivery)
        if outcome.held or outcome.refused:
            ahead = []
        conclusion = Conclusion(self._settlement(batch_id, leases, outcome), outcome.published, self._clock() - started)
        if ahead:
            self._ahead = ahead
            self._note(self._settler.begin(conclusion))
        else:
            self._note(self._settler.write(conclusion))
        self._note_careful(batch)
        return _AFTER_REFUSAL if delivery.unsent or (taken and not batch.events) else 0.0

    def _note_progress(self, outcome: Outcome, delivery: Delivery) -> None:
        """Brokers may answer and yet take nothing, batch after batch: that is said once, as a wait for them."""
        if delivery.unsent and not (outcome.published or outcome.refused):
            self._in_vain.batches += 1
            if self._in_vain.batches == 1:
                self._in_vain.since = self._clock()
            if self._in_vain.batches == _IN_VAIN:
                self._state.waits(self.name, "Kafka")
                self._observer.waiting("Kafka", delivery.reason)
            return
        if self._in_vain.batches >= _IN_VAIN:
            self._state.waits(self.name, None)
            self._observer.arrived("Kafka", self._clock() - self._in_vain.since)
        self._in_vain.batches = 0

    def _leases_of(self, events: list[PendingEvent]) -> frozenset[Lease]:
        shards = {event.shard for event in events}
        leases = frozenset(lease for lease in self.assignment.served if lease.shard in shards)
        if len(leases) != len(shards):
            raise LeaseLost("a shard belongs to another relay now")
        return leases

    def _read_ahead(self, batch: Batch) -> list[PendingEvent]:
        """The batch in flight comes first: where the database does not answer now, it is asked again later."""
        leases = self._reader.allowed(self.assignment.served)
        exclude = (*batch.ids, *self._settler.ids, *self._unmarked.shard_of)
        try:
            return self._reader.read(leases, self._batch_size, exclude)
        except BackendUnavailable:
            return []

    def _await(self, leases: frozenset[Lease], count: int) -> Delivery:
        """Wait for Kafka as long as the shards are ours: librdkafka retries, in order and without repeats."""
        started = self._clock()
        slow = False
        while (delivery := self._publisher.finish(_PATIENCE)) is None:
            now = self._clock()
            self._state.require_lease(now)
            if self.assignment.lost(leases):
                raise LeaseLost("a shard belongs to another relay now")
            if self._setup.gives_up():
                self._publisher.abandon()
                return Delivery(unsent=frozenset(range(count)), reason="the relay stops")
            if not slow and now - started > _SLOW:
                slow = True
                self._state.waits(self.name, "Kafka")
                self._observer.waiting("Kafka", self._publisher.trouble)
        if slow:
            self._state.waits(self.name, None)
            self._observer.arrived("Kafka", self._clock() - started)
        return delivery

    def _settlement(self, batch_id: UUID | None, leases: frozenset[Lease], outcome: Outcome) -> Settlement:
        return Settlement(
            leases=leases,
            published=tuple(event.id for event in outcome.published),
            recovered=tuple(event.id for event in outcome.published if event.attempts),
            failed=tuple(self._judged(*refused) for refused in outcome.refused),
            batch_id=batch_id,
        )

    def _judged(self, event: PendingEvent, topic: str | None, error: str) -> Failed:
        attempt = event.attempts + 1
        verdict = judge(self._routes.policy(topic), self._retry, attempt, random.random())  # noqa: S311 - jitter
        failed = Failed(event, verdict.state, attempt, verdict.delay, error)
        self._observer.attempt_failed(failed, topic)
        self._state.note_error(error)
        return failed

    def _finish_settling(self) -> None:
        self._note(self._settler.finish())

    def _note(self, settled: Iterable[Settled]) -> None:
        """Take note of what was written, and of rows that somebody has locked."""
        for one in settled:
            if one.left:
                shard_of = {e.id: e.shard for e in one.conclusion.published if e.id in one.left}
                self._unmarked = Unmarked(self._unmarked.shard_of | shard_of, self._clock() + _UNMARKED_EVERY)
                self._ahead = []
            self._tell(one.conclusion)

    def _tell(self, conclusion: Conclusion) -> None:
        failed = conclusion.settlement.failed
        self._state.count(len(conclusion.published), len(failed))
        if conclusion.published:
            self._observer.meter.published(conclusion.published, conclusion.seconds)
        if failed:
            self._reader.failures_changed()
            self._observer.meter.failed(failed)

    def _note_careful(self, batch: Batch) -> None:
        for shard, count in Counter(event.shard for event in batch.touched).items():
            self._careful.sent(shard, count)


def _batch_id(ids: tuple[bytes, ...]) -> UUID:
    """A lone event's own id, which tells whoever finds the batch unfinished that it was alone; else a random one."""
    return UUID(bytes=ids[0]) if len(ids) == 1 else uuid4()

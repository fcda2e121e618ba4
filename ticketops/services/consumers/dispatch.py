"""Between the thread that reads and the threads that handle: who may do what next, and what may be committed."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ticketops.domain.consuming import Partition, Position, Record
from ticketops.domain.key_queues import Job, KeyQueues
from ticketops.domain.offsets import OffsetLedger


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one process holds; a partition is paused only when it reaches a bound."""

    waiting: int = 1000
    """Records of one partition that are read and not finished."""
    span: int = 20_000
    """Records of one partition from its first unfinished one on: what a crash would repeat."""
    bytes: int = 64_000_000
    """Bytes of keys and values, of all partitions."""


class Dispatch:
    """Jobs and offsets of one process, for several threads."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds = bounds
        self._clock = clock
        self._changed = threading.Condition()
        self._queues = KeyQueues()
        self._ledgers: dict[Partition, OffsetLedger] = {}
        self._committed: dict[Partition, int] = {}
        self._bytes = 0
        self._open: dict[Position, Job] = {}
        """Every job that is not finished, by where it is."""

    def assign(self, partitions: Collection[Partition]) -> None:
        """These are ours; nothing of them was read yet."""
        with self._changed:
            for partition in partitions:
                self._ledgers[partition] = OffsetLedger()
                self._committed.pop(partition, None)

    def revoke(self, partitions: Collection[Partition], patience: float) -> bool:
        """Hand out no more of these, and wait for what is in hand; False where `patience` seconds were not enough."""
        deadline = self._clock() + patience
        with self._changed:
            self._queues.drop(partitions, self._clock())
            while self._queues.in_hand_of(partitions):
                left = deadline - self._clock()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def forget(self, partitions: Collection[Partition]) -> None:
        """These are not ours any more; what is still in hand of them counts for nothing."""
        with self._changed:
            self._queues.drop(partitions, self._clock())
            for partition in partitions:
                self._ledgers.pop(partition, None)
                self._committed.pop(partition, None)
            for position in [position for position in self._open if position.partition in partitions]:
                self._bytes -= self._open.pop(position).record.size

    @property
    def partitions(self) -> frozenset[Partition]:
        """Those that are ours."""
        with self._changed:
            return frozenset(self._ledgers)

    def offer(self, records: Iterable[Record], make: Callable[[Record], Job | None]) -> int:
        """Records that were read, in the order of each partition; `make` answers None for one that is not for us.

        Answers how many are to be handled.
        """
        now, count = self._clock(), 0
        with self._changed:
            for record in records:
                ledger = self._ledger(record.position)
                if ledger is None:
                    continue
                ledger.read(record.position.offset)
                job = make(record)
                if job is None:
                    ledger.finish(record.position.offset)
                    continue
                self._open[record.position] = job
                self._bytes += record.size
                self._queues.add(job, now)
                count += 1
            if count:
                self._changed.notify_all()
        return count

    def _ledger(self, position: Position) -> OffsetLedger | None:
        """The partition's ledger; a new one where the topic was made anew and its offsets began again."""
        ledger = self._ledgers.get(position.partition)
        if ledger is None or position in self._open:
            return None
        if not ledger.takes(position.offset):
            ledger = self._ledgers[position.partition] = OffsetLedger()
            self._committed.pop(position.partition, None)
        return ledger

    def take(self, limit: int, timeout: float) -> list[Job]:
        """Jobs for one thread; waits `timeout` seconds for the first."""
        deadline = self._clock() + timeout
        with self._changed:
            while not (jobs := self._queues.take(limit, self._clock())):
                now = self._clock()
                due = self._queues.next_due()
                left = min(deadline, deadline if due is None else due) - now
                if deadline <= now:
                    return []
                self._changed.wait(max(left, 0.001))
            return jobs

    def finish(self, jobs: Sequence[Job]) -> None:
        """Effect or dead letter of these are durable."""
        now = self._clock()
        with self._changed:
            for job in jobs:
                self._queues.finish(job, now)
                position = job.record.position
                if self._open.get(position) is not job:
                    continue
                del self._open[position]
                self._bytes -= job.record.size
                self._ledgers[position.partition].finish(position.offset)
            self._changed.notify_all()

    def again(self, job: Job, delay: float) -> None:
        """Hand it out again after `delay` seconds; its lane waits with it."""
        now = self._clock()
        with self._changed:
            self._queues.again(job, now + delay, now)
            self._drop_if_not_ours([job], now)
            self._changed.notify_all()

    def give_back(self, jobs: Sequence[Job]) -> None:
        """These were not tried."""
        now = self._clock()
        with self._changed:
            for job in jobs:
                self._queues.give_back(job, now)
            self._drop_if_not_ours(jobs, now)
            self._changed.notify_all()

    def _drop_if_not_ours(self, jobs: Sequence[Job], now: float) -> None:
        """What came back after its partition was taken away would be handled here a second time."""
        gone = [job for job in jobs if self._open.get(job.record.position) is not job]
        for job in gone:
            self._queues.discard(job, now)

    def wake(self) -> None:
        """End the waits of `take`."""
        with self._changed:
            self._changed.notify_all()

    def committable(self) -> Mapping[Partition, int]:
        """Offsets that may be committed and were not yet; see `noted`."""
        with self._changed:
            positions = {partition: ledger.position for partition, ledger in self._ledgers.items()}
            return {p: at for p, at in positions.items() if at is not None and self._committed.get(p, -1) < at}

    def noted(self, offsets: Mapping[Partition, int]) -> None:
        """These were committed."""
        with self._changed:
            self._committed.update({p: at for p, at in offsets.items() if p in self._ledgers})

    def full(self) -> frozenset[Partition]:
        """Partitions of which no more may be read now."""
        with self._changed:
            if self._bytes >= self._bounds.bytes:
                return frozenset(self._ledgers)
            return frozenset(partition for partition, ledger in self._ledgers.items() if self._is_full(ledger))

    def _is_full(self, ledger: OffsetLedger) -> bool:
        return ledger.unfinished >= self._bounds.waiting or ledger.span >= self._bounds.span

    @property
    def unfinished(self) -> int:
        """Records read and not finished."""
        with self._changed:
            return len(self._open)

    @property
    def in_hand(self) -> int:
        """Records that threads are busy with."""
        with self._changed:
            return self._queues.in_hand

    @property
    def waiting(self) -> int:
        """Lanes that wait for their next attempt."""
        with self._changed:
            return self._queues.waiting

"""Which records may be handled next: order within a lane, different lanes side by side, waits that hold up nobody else.

A suspect, which may have killed a process, is handed out only while nothing else is in hand.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass, field

from ticketops.domain.consuming import Lane, Partition, Record, lane_of


@dataclass(slots=True, eq=False)
class Job:
    """A record on its way, and what was tried with it."""

    record: Record
    alone: bool = False
    """It is never handled together with others: a service is called for it."""
    suspect: bool = False
    """A process died with it in hand; nothing else may be in hand with it."""
    deaths: int = 0
    """How often a process died with it alone in hand."""
    not_before: float = 0.0
    """A time before which it may not be handled."""
    attempts: int = 0
    """Attempts made here that count."""
    began_at: float | None = None
    """When it was first handed out."""
    lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        self.lane = lane_of(self.record)

    @property
    def offset(self) -> int:
        """Its place in its partition."""
        return self.record.position.offset


@dataclass(slots=True)
class _Queue:
    jobs: deque[Job] = field(default_factory=deque)
    out: set[Job] = field(default_factory=set)
    """In somebody's hands."""
    returned: list[Job] = field(default_factory=list)
    """Given back while others of the lane are still in hand."""
    not_before: float = 0.0


class KeyQueues:
    """The jobs of one process by lane; not for several threads at once. Times are seconds on one clock."""

    def __init__(self) -> None:
        self._queues: dict[Lane, _Queue] = {}
        self._ready: OrderedDict[Lane, None] = OrderedDict()
        self._waiting: list[tuple[float, int, Lane]] = []
        self._count = 0
        self._suspects: set[Lane] = set()
        """Lanes with a suspect, in hand or not."""
        self._out = 0
        self._exclusive = False
        """A suspect is in hand."""

    @property
    def in_hand(self) -> int:
        """Jobs handed out and not concluded."""
        return self._out

    @property
    def waiting(self) -> int:
        """Lanes that wait for their next attempt."""
        return len(self._waiting)

    def add(self, job: Job, now: float) -> None:
        """Put a job at the end of its lane."""
        queue = self._queues.setdefault(job.lane, _Queue())
        queue.jobs.append(job)
        if job.suspect:
            self._suspects.add(job.lane)
        if len(queue.jobs) == 1 and not queue.out:
            self._schedule(job.lane, queue, now)

    def take(self, limit: int, now: float) -> list[Job]:
        """At most `limit` jobs, of one lane in order; a job that goes alone comes alone."""
        self._wake(now)
        if self._exclusive:
            return []
        suspected = next((lane for lane in self._ready if self._heads_suspect(lane)), None) if self._suspects else None
        if suspected is not None:
            return self._take_suspect(suspected, now)
        taken: list[Job] = []
        while self._ready and len(taken) < limit:
            lane = next(iter(self._ready))
            if taken and self._queues[lane].jobs[0].alone:
                break
            del self._ready[lane]
            taken += self._take_run(lane, limit - len(taken), now)
            if taken[-1].alone:
                break
        return taken

    def _heads_suspect(self, lane: Lane) -> bool:
        return lane in self._suspects and self._queues[lane].jobs[0].suspect

    def _take_suspect(self, lane: Lane, now: float) -> list[Job]:
        if self._out:
            return []
        del self._ready[lane]
        self._exclusive = True
        return self._take_run(lane, 1, now)

    def _take_run(self, lane: Lane, limit: int, now: float) -> list[Job]:
        queue = self._queues[lane]
        run = [queue.jobs.popleft()]
        while len(run) < limit and queue.jobs and not run[0].alone and self._follows(queue.jobs[0], now):
            run.append(queue.jobs.popleft())
        for job in run:
            job.began_at = now if job.began_at is None else job.began_at
        queue.out.update(run)
        self._out += len(run)
        return run

    def _follows(self, job: Job, now: float) -> bool:
        return not (job.alone or job.suspect or job.not_before > now)

    def finish(self, job: Job, now: float) -> None:
        """It is done with."""
        self._conclude(job, now, None)

    def again(self, job: Job, at: float, now: float) -> None:
        """Hand it out again, not before `at`; its lane waits with it."""
        self._conclude(job, now, at)

    def give_back(self, job: Job, now: float) -> None:
        """It was not tried; it keeps its place."""
        self._conclude(job, now, 0.0)

    def _conclude(self, job: Job, now: float, not_before: float | None) -> None:
        queue = self._queues.get(job.lane)
        if queue is None or job not in queue.out:
            return
        queue.out.discard(job)
        self._out -= 1
        if job.suspect:
            self._exclusive = False
        if not_before is not None:
            job.not_before = max(job.not_before, not_before)
            queue.returned.append(job)
        if queue.out:
            return
        self._put_back(queue)
        if queue.jobs:
            self._schedule(job.lane, queue, now)
        else:
            del self._queues[job.lane]
        self._trust(job.lane)

    def _put_back(self, queue: _Queue) -> None:
        queue.returned.sort(key=lambda job: job.offset, reverse=True)
        queue.jobs.extendleft(queue.returned)
        queue.returned.clear()

    def _trust(self, lane: Lane) -> None:
        if lane in self._suspects:
            queue = self._queues.get(lane)
            if queue is None or not any(job.suspect for job in (*queue.jobs, *queue.returned, *queue.out)):
                self._suspects.discard(lane)

    def drop(self, partitions: Collection[Partition], now: float) -> None:
        """Forget what waits of these partitions; what is in hand stays there."""
        for lane, queue in tuple(self._queues.items()):
            kept = [job for job in queue.jobs if job.record.position.partition not in partitions]
            queue.returned = [job for job in queue.returned if job.record.position.partition not in partitions]
            if len(kept) != len(queue.jobs):
                queue.jobs = deque(kept)
                self._ready.pop(lane, None)
                if kept and not queue.out:
                    self._schedule(lane, queue, now)
            if not (queue.jobs or queue.out or queue.returned):
                self._ready.pop(lane, None)
                del self._queues[lane]
            self._trust(lane)

    def discard(self, job: Job, now: float) -> None:
        """Forget one job that waits."""
        queue = self._queues.get(job.lane)
        if queue is None:
            return
        if job in queue.returned:
            queue.returned.remove(job)
        if job in queue.jobs:
            queue.jobs.remove(job)
            self._ready.pop(job.lane, None)
            if queue.jobs and not queue.out:
                self._schedule(job.lane, queue, now)
        if not (queue.jobs or queue.out or queue.returned):
            del self._queues[job.lane]
        self._trust(job.lane)

    def in_hand_of(self, partitions: Collection[Partition]) -> int:
        """Jobs of these partitions that are in hand."""
        return sum(job.record.position.partition in partitions for queue in self._queues.values() for job in queue.out)

    def next_due(self) -> float | None:
        """When the next lane that waits may go on; None where none waits."""
        return self._waiting[0][0] if self._waiting else None

    def _schedule(self, lane: Lane, queue: _Queue, now: float) -> None:
        at = queue.jobs[0].not_before
        if at <= now:
            self._ready[lane] = None
            return
        self._count += 1
        heapq.heappush(self._waiting, (at, self._count, lane))

    def _wake(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            _, _, lane = heapq.heappop(self._waiting)
            queue = self._queues.get(lane)
            if queue is not None and queue.jobs and not queue.out and queue.jobs[0].not_before <= now:
                self._ready[lane] = None

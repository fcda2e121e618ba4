from collections import defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ticketops.domain.consuming import Partition, Position, Record, lane_of
from ticketops.domain.key_queues import Job, KeyQueues


class Machine(RuleBasedStateMachine):
    """Whatever is added, handed out, concluded and dropped: order by lane, nothing twice, suspects alone."""

    def __init__(self) -> None:
        super().__init__()
        self.queues, self.now = KeyQueues(), 0.0
        self.next: dict[int, int] = defaultdict(int)
        self.waiting: dict[Position, Job] = {}
        self.hand: list[Job] = []
        self.finished: dict[object, list[int]] = defaultdict(list)

    @rule(
        partition=st.integers(0, 2),
        key=st.sampled_from([b"a", b"b", None]),
        alone=st.booleans(),
        suspect=st.sampled_from([False, False, False, True]),
    )
    def add(self, partition: int, key: bytes | None, alone: bool, suspect: bool) -> None:
        offset = self.next[partition]
        self.next[partition] += 1
        full = None if key is None else b"%d" % partition + key
        record = Record(Position(Partition("t", partition), offset), full, b"v")
        job = Job(record, alone=alone or suspect, suspect=suspect)
        self.waiting[record.position] = job
        self.queues.add(job, self.now)

    @rule(limit=st.integers(1, 5))
    def take(self, limit: int) -> None:
        jobs = self.queues.take(limit, self.now)
        assert len(jobs) <= limit
        if jobs and (jobs[0].alone or any(job.alone for job in jobs)):
            assert len(jobs) == 1
        if any(job.suspect for job in jobs) or any(job.suspect for job in self.hand):
            assert len(self.hand) + len(jobs) <= 1
        lanes = {lane_of(job.record) for job in self.hand}
        for job in jobs:
            assert job.lane not in lanes, "a lane was handed out twice"
            assert job.not_before <= self.now
            del self.waiting[job.record.position]
            before = [other for other in self.waiting.values() if other.lane == job.lane and other.offset < job.offset]
            assert not before, "an earlier record of the lane waits"
        self.hand += jobs

    @precondition(lambda self: self.hand)
    @rule(data=st.data(), what=st.sampled_from(["finish", "again", "back"]))
    def conclude(self, data: st.DataObject, what: str) -> None:
        job = self.hand[data.draw(st.integers(0, len(self.hand) - 1))]
        rest = [one for one in self.hand if one.lane == job.lane and one.offset >= job.offset]
        if what == "finish":
            rest = [min((one for one in self.hand if one.lane == job.lane), key=lambda one: one.offset)]
        for one in rest:
            self.hand.remove(one)
            if what == "finish":
                self.finished[one.lane].append(one.offset)
                self.queues.finish(one, self.now)
            else:
                self.waiting[one.record.position] = one
                if what == "again" and one is job:
                    self.queues.again(one, self.now + 3.0, self.now)
                else:
                    self.queues.give_back(one, self.now)

    @rule(seconds=st.floats(0.0, 5.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(partition=st.integers(0, 2))
    def drop(self, partition: int) -> None:
        gone = Partition("t", partition)
        self.queues.drop([gone], self.now)
        self.waiting = {at: job for at, job in self.waiting.items() if at.partition != gone}

    @invariant()
    def order_holds(self) -> None:
        for offsets in self.finished.values():
            assert offsets == sorted(set(offsets))
        assert self.queues.in_hand == len(self.hand)

    @invariant()
    def what_can_go_on_is_known(self) -> None:
        if self.waiting and not self.hand:
            due = self.queues.next_due()
            ready = bool(self.queues._ready)
            assert ready or due is not None, "something waits that nobody will ever hand out"


TestKeyQueues = Machine.TestCase


def test_a_suspect_in_hand_stays_one_while_other_partitions_are_dropped() -> None:
    queues = KeyQueues()
    queues.add(job(1, suspect=True), 0.0)
    (suspect,) = queues.take(1, 0.0)
    queues.drop([Partition("t", 0)], 0.0)
    queues.give_back(suspect, 0.0)
    queues.add(job(0), 0.0)
    assert queues.take(5, 0.0) == [suspect]
    assert queues.take(5, 0.0) == []


def job(partition: int, *, suspect: bool = False) -> Job:
    return Job(Record(Position(Partition("t", partition), 0), b"%d" % partition, b"v"), alone=suspect, suspect=suspect)

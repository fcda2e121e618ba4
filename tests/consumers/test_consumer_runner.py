"""The runner over memory: order, batches, retries, dead letters, offsets, suspects, pauses."""

import threading
from collections import Counter
from uuid import uuid4

import pytest

from support.consumers import POISON, Bench
from support.waiting import eventually
from ticketops.domain.consuming import Handled, Outcome, Partition, Position, Reason, Record
from ticketops.domain.retry_topics import attempts_before, retry_headers
from ticketops.domain.shards import rollout_bucket
from ticketops.domain.workers import PauseScope
from ticketops.errors import (
    BackendUnavailable,
    CircuitOpen,
    LockTimeout,
    SchemaError,
    ServiceFailed,
    ServiceRefused,
    ServiceTimeout,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def _values(prefix: str, count: int) -> list[bytes]:
    return [f"{prefix}-{number}".encode() for number in range(count)]


def test_every_record_has_one_effect_in_the_order_of_its_key(bench: Bench) -> None:
    keys = [f"key-{number}".encode() for number in range(20)]
    for number in range(30):
        for key in keys:
            bench.send(key, b"%d" % number)
    bench.drain()
    assert bench.effects.done == {key: [b"%d" % number for number in range(30)] for key in keys}
    assert sum(bench.committed().values()) == 600
    assert max(bench.effects.calls) > 1, "no batch was made"


def test_what_is_committed_is_not_read_again(bench: Bench) -> None:
    bench.send(b"a", b"1", b"2")
    bench.drain()
    bench.effects.seen.clear()
    bench.send(b"a", b"3")
    bench.drain()
    assert bench.effects.done[b"a"] == [b"1", b"2", b"3"]


def test_records_without_a_key_keep_the_order_of_their_partition(bench: Bench) -> None:
    bench.send(None, *_values("n", 50))
    bench.drain()
    assert bench.effects.done[None] == _values("n", 50)


def test_poison_dies_alone_and_its_key_goes_on(bench: Bench) -> None:
    bench.effects.react = lambda record: POISON if record.value == b"bad" else None
    bench.send(b"a", b"1", b"bad", b"2")
    bench.send(b"b", b"1")
    bench.drain()
    assert bench.effects.done == {b"a": [b"1", b"2"], b"b": [b"1"]}
    (death,) = bench.sink.deaths
    assert (death.reason, death.attempts, death.record.value) == (Reason.INVALID_DATA, 1, b"bad")
    assert sum(bench.committed().values()) == 4


@pytest.mark.parametrize(
    ("error", "options", "reason", "attempts"),
    [
        (ServiceFailed("down"), {"max_attempts": 3}, Reason.RETRIES_EXCEEDED, 3),
        (ServiceTimeout("slow"), {"max_attempts": 1}, Reason.TIMEOUT, 1),
        (ServiceFailed("down"), {"max_attempts": 1}, Reason.SERVICE_ERROR, 1),
        (ServiceRefused("no"), {"max_attempts": 3}, Reason.SERVICE_ERROR, 1),
        (LockTimeout("locked"), {"max_attempts": 2}, Reason.RETRIES_EXCEEDED, 2),
        (CircuitOpen("it", 1.0), {"circuit_patience": 0.05}, Reason.CIRCUIT_OPEN, 0),
        (ZeroDivisionError("oops"), {}, Reason.UNKNOWN, 1),
        (BackendUnavailable("PostgreSQL"), {"max_attempts": 2}, Reason.RETRIES_EXCEEDED, 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_fails_for_ever_becomes_a_dead_letter_with_its_reason(
    bench: Bench, error: Exception, options: dict[str, object], reason: Reason, attempts: int
) -> None:
    def react(record: Record) -> Outcome | None:
        if record.value == b"bad":
            raise error
        return None

    bench.effects.react = react
    bench.send(b"a", b"bad", b"after")
    bench.send(b"b", b"other")
    bench.drain(**options)
    (death,) = bench.sink.deaths
    assert (death.reason, death.attempts) == (reason, attempts)
    assert death.failure.error_class.endswith(type(error).__name__)
    assert type(error).__name__ in death.failure.stack
    assert bench.effects.done == {b"a": [b"after"], b"b": [b"other"]}


def test_a_retry_holds_up_its_own_key_only(bench: Bench) -> None:
    allowed = threading.Event()

    def react(record: Record) -> Outcome | None:
        if record.value == b"first" and not allowed.is_set():
            raise ServiceFailed("not yet")
        return None

    bench.effects.react = react
    bench.send(b"a", b"first", b"second")
    bench.send(b"d", *_values("d", 100))  # the same partition
    with bench.running(max_attempts=1000, threads=1):
        eventually(lambda: len(bench.effects.done[b"d"]) == 100)
        assert bench.effects.done[b"a"] == []
        assert bench.committed().get(1, 0) == 0, "an unfinished record was committed"
        allowed.set()
        eventually(lambda: bench.effects.done[b"a"] == [b"first", b"second"])
        eventually(lambda: bench.committed().get(1) == 102)
    assert bench.sink.deaths == []


def test_the_partition_is_paused_only_at_the_bound(bench: Bench) -> None:
    release = threading.Event()

    def react(_: Record) -> Outcome | None:
        if not release.is_set():
            raise ServiceFailed("not yet")
        return None

    bench.effects.react = react
    for number in range(60):
        bench.send(b"%c" % (3 * number + 1), b"x")  # all in partition 1
    with bench.running(max_attempts=10_000, max_waiting=20, threads=1) as daemon:
        eventually(lambda: daemon._dispatch.unfinished >= 20)
        eventually(lambda: daemon._reader is not None and len(daemon._reader._paused) == 1)
        held = daemon._dispatch.unfinished
        release.set()
        eventually(lambda: bench.effects.count == 60)
    assert held <= 20 + 500


def test_a_dead_backend_costs_no_attempt_and_no_dead_letter(bench: Bench) -> None:
    down = threading.Event()
    asked = Counter[str]()

    def before() -> None:
        if down.is_set():
            asked["down"] += 1
            raise BackendUnavailable("PostgreSQL", why="it is down")

    bench.effects.before = before
    with bench.running(max_attempts=2) as daemon:
        down.set()
        bench.send(b"a", b"1", b"2")
        eventually(lambda: asked["down"] > 4)
        assert not daemon.ready().ok
        assert "PostgreSQL" in daemon.ready().reason
        down.clear()
        eventually(lambda: bench.effects.done[b"a"] == [b"1", b"2"])
        eventually(lambda: daemon.ready().ok)
    assert bench.sink.deaths == []


def test_what_an_operator_must_mend_ends_the_worker_and_loses_nothing(bench: Bench) -> None:
    bench.effects.react = lambda _: (_ for _ in ()).throw(SchemaError("a table is missing"))
    bench.send(b"a", b"1")
    with bench.running() as daemon:
        eventually(lambda: daemon.wait(0.05))
        assert isinstance(daemon.failure, SchemaError)
        assert not daemon.live().ok
    assert bench.sink.deaths == []
    assert set(bench.committed().values()) <= {0}


def test_two_members_share_the_partitions_and_repeat_nothing(bench: Bench) -> None:
    for number in range(300):
        bench.send(b"key-%d" % (number % 30), b"%d" % number)
    with bench.running(threads=1, batch_size=5):
        eventually(lambda: bench.effects.count > 10)
        with bench.running(threads=1, batch_size=5) as second:
            eventually(lambda: second._dispatch.partitions)
            for number in range(300, 600):
                bench.send(b"key-%d" % (number % 30), b"%d" % number)
            eventually(lambda: bench.effects.count == 600, 30.0)
    for number in range(30):
        expected = [b"%d" % n for n in range(600) if n % 30 == number]
        assert bench.effects.done[b"key-%d" % number] == expected


def test_a_rebalance_waits_for_what_is_in_hand_and_then_gives_up(bench: Bench) -> None:
    stuck, entered = threading.Event(), threading.Event()

    def react(record: Record) -> Outcome | None:
        if record.value == b"stuck" and not stuck.is_set():
            entered.set()
            stuck.wait(30.0)
        return None

    bench.effects.react = react
    bench.send(b"a", b"stuck")
    with bench.running(threads=1, revoke_timeout=0.2):
        assert entered.wait(10.0)
        with bench.running(threads=1, revoke_timeout=0.2) as second:
            eventually(lambda: Partition("events", 1) in second._dispatch.partitions)
            stuck.set()
            eventually(lambda: bench.effects.count == 1)
            eventually(lambda: bench.committed().get(1) == 1)


def test_records_that_were_in_hand_at_a_death_are_handled_alone(bench: Bench) -> None:
    bench.send(b"a", b"1", b"2", b"3")
    suspects = tuple(Position(Partition("events", 1), offset) for offset in (0, 1))
    bench.journal.hands[uuid4(), 0] = (suspects, False)
    bench.drain(threads=1)
    assert bench.effects.done[b"a"] == [b"1", b"2", b"3"]
    assert bench.effects.calls == [1, 1, 1]
    assert bench.journal.suspects == {}


def test_what_killed_often_enough_alone_is_a_dead_letter(bench: Bench) -> None:
    bench.send(b"a", b"killer", b"2")
    killer = Position(Partition("events", 1), 0)
    bench.journal.suspects[killer] = 2
    bench.journal.hands[uuid4(), 0] = ((killer,), True)
    bench.drain(max_deaths=3)
    (death,) = bench.sink.deaths
    assert death.record.value == b"killer"
    assert death.reason is Reason.RETRIES_EXCEEDED
    assert "3 times" in death.failure.message
    assert bench.effects.done == {b"a": [b"2"]}


def test_pauses_hold_and_resume(bench: Bench) -> None:
    bench.pauses.pause(PauseScope.TOPIC, "events", "me", "why")
    bench.send(b"a", b"1")
    with bench.running() as daemon:
        eventually(lambda: daemon._reader is not None and len(daemon._reader._paused) == 3)
        bench.send(b"a", b"2")
        bench.pauses.resume(PauseScope.TOPIC, "events", "me", "")
        eventually(lambda: bench.effects.done[b"a"] == [b"1", b"2"])


def test_the_roll_out_leaves_the_other_keys_alone(bench: Bench) -> None:
    keys = [f"booking-{number}" for number in range(100)]
    for key in keys:
        bench.send(key.encode(), b"x")
    bench.drain(percentage=30)
    assert set(bench.effects.done) == {key.encode() for key in keys if rollout_bucket(key) < 30}
    assert sum(bench.committed().values()) == 100


def test_a_record_that_goes_alone_shares_no_transaction(bench: Bench) -> None:
    for number in range(10):
        bench.send(b"k%d" % number, b"alone", b"x")
    bench.drain(threads=1)
    assert bench.effects.count == 20
    assert bench.effects.calls.count(1) >= 10


def test_a_retry_topic_takes_what_failed_for_the_moment(bench: Bench) -> None:
    bench.broker.create("events.later", 1)

    def react(record: Record) -> Outcome | None:
        if record.topic == "events":
            raise ServiceFailed("not yet")
        return Handled("later")

    bench.effects.react = react
    bench.send(b"a", b"1")
    bench.drain(max_attempts=2, retry_topics={"events.later": 0.1})
    (due,) = bench.sink.postponed
    assert (due.topic, due.attempts) == ("events.later", 2)
    bench.broker.send("events.later", 0, b"a", b"1", retry_headers(due))
    bench.drain(max_attempts=2, retry_topics={"events.later": 0.1})
    assert bench.effects.done[b"a"] == [b"1"]
    assert bench.sink.deaths == []


def test_the_last_retry_topic_is_followed_by_the_dead_letter(bench: Bench) -> None:
    bench.broker.create("events.later", 1)
    bench.effects.react = lambda _: (_ for _ in ()).throw(ServiceFailed("never"))
    bench.send(b"a", b"1")
    bench.drain(max_attempts=2, retry_topics={"events.later": 0.01})
    (due,) = bench.sink.postponed
    bench.broker.send("events.later", 0, b"a", b"1", retry_headers(due))
    bench.drain(max_attempts=2, retry_topics={"events.later": 0.01})
    (death,) = bench.sink.deaths
    assert (death.attempts, attempts_before(death.record)) == (4, 2)


def test_a_batch_that_is_done_one_by_one_is_not_taken_for_one_that_hangs(bench: Bench) -> None:
    together: list[Record] = []
    slow = threading.Event()

    def crawl(record: Record) -> None:
        together.append(record)
        if len(together) > 1:
            raise LockTimeout("a batch meets a lock")
        slow.wait(0.1)

    bench.effects.before, bench.effects.react = together.clear, crawl
    for number in range(20):
        bench.send(b"k%d" % number, b"%d" % number)
    with bench.running(threads=1, message_timeout=0.3, retry_base=5.0) as daemon:
        eventually(lambda: bench.effects.count == 20 or daemon.failure)
        assert daemon.failure is None

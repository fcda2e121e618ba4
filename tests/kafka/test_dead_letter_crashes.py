"""A requeue that is killed, cut off or refused an answer: at least once, nothing lost, and the next run says so."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Producer

from support import dead_records as made
from support.dead_topics import Brokers
from support.deadletters import order
from support.engines import MakeKafka, MakeProxy, MakeTopic
from support.requeuer import STEPS
from support.waiting import eventually
from ticketops.backends.kafka.dead_letters import KafkaDeadLetters
from ticketops.backends.memory.ledger import MemoryLedger
from ticketops.backends.store.ledger import StoredLedger
from ticketops.backends.store.sqlite import SqlitePlace
from ticketops.domain.deadletters import Fault, FaultKind, Mark, Narrowing, Outcome, Result
from ticketops.embedded.engine import free_port
from ticketops.embedded.kafka import KafkaServer
from ticketops.errors import BackendUnavailable
from ticketops.options import KafkaOptions
from ticketops.ports.ledger import Ledger

EVERYTHING = Narrowing(bodies=False)
ITEMS = 40


class Site:
    """A dead-letter topic with items of two partitions' worth of keys, and a ledger in a file."""

    def __init__(self, kafka: KafkaOptions, make_topic: MakeTopic, folder: Path) -> None:
        self.brokers = Brokers(kafka)
        self.file = folder / "ledger.sqlite3"
        self.source = make_topic("events", partitions=3)
        self.dead = make_topic("dlq", partitions=2)
        self.queues: list[KafkaDeadLetters] = []
        for number in range(ITEMS):
            key = None if number % 5 == 0 else b"B-%d" % number
            self.brokers.send(self.dead, b"%d" % number, key=key, headers=made.spring(self.source))

    def open(self) -> KafkaDeadLetters:
        queue = KafkaDeadLetters("dead", self.dead, self.brokers.options, self.ledger)
        self.queues.append(queue)
        return queue

    def ledger(self) -> Ledger:
        return StoredLedger(SqlitePlace(self.file))

    def kill_at(self, step: str, operation: UUID) -> None:
        """Run a requeue of everything in a process that dies at this step."""
        arguments = [self.brokers.options.bootstrap_servers, self.dead, str(self.file), str(operation), step]
        tests = str(Path(__file__).parents[1])
        done = subprocess.run(
            [sys.executable, "-m", "support.requeuer", *arguments],
            env={**os.environ, "PYTHONPATH": tests},
            capture_output=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == -9, done.stderr.decode()

    def marks(self) -> list[Mark]:
        return [letter.mark for letter in self.queues[-1].scan(EVERYTHING)]

    def arrived(self) -> Counter[bytes]:
        return Counter(message.value() for message in self.brokers.records(self.source))


@pytest.fixture
def site(kafka: KafkaOptions, make_topic: MakeTopic, tmp_path: Path) -> Iterator[Site]:
    made_ = Site(kafka, make_topic, tmp_path)
    yield made_
    for queue in made_.queues:
        queue.close()


@pytest.mark.chaos
@pytest.mark.parametrize("step", STEPS)
def test_a_requeue_killed_at_any_step_loses_nothing_and_its_resume_says_what_it_found(site: Site, step: str) -> None:
    operation = uuid4()
    site.kill_at(step, operation)
    there = site.arrived()
    queue = site.open()
    ids = [f"{site.dead}/{m.partition()}/{m.offset()}" for m in site.brokers.records(site.dead)]
    results = queue.requeue(order(operation), [Mark(id_) for id_ in ids])
    assert {result.outcome for result in results} <= {Outcome.DONE, Outcome.ALREADY}
    arrived = site.arrived()
    assert set(arrived) == {b"%d" % number for number in range(ITEMS)}
    found = [result for result in results if result.detail.startswith("was sent before the cut: found as ")]
    if step == "after settle":
        assert {result.detail for result in results} == {str(operation)}
    elif step in {"before settle", "while sending"}:
        assert len(found) >= there.total()
    else:
        assert (found, there.total()) == ([], 0)
    if step != "while sending":
        assert set(arrived.values()) == {1}
    assert queue.count() == 0


@pytest.mark.chaos
def test_what_a_dead_operation_claimed_is_not_taken_by_another_and_is_mended(site: Site) -> None:
    operation = uuid4()
    site.kill_at("before settle", operation)
    queue = site.open()
    marks = site.marks()
    assert len(marks) == ITEMS
    other = queue.requeue(order(), marks)
    assert set(other) == {Result(mark.id, Outcome.ALREADY, str(operation)) for mark in marks}
    assert queue.remove(uuid4(), marks[:1])[0].outcome is Outcome.BUSY
    kinds = Counter(fault.kind for fault in queue.faults(0))
    assert kinds == {FaultKind.UNFINISHED: ITEMS}
    assert Counter(fault.kind for fault in queue.faults(3600)) == {}
    told: list[Fault] = []
    assert queue.mend(0, told.append) == ITEMS
    assert queue.count() == 0
    assert set(site.arrived().values()) == {1}


@pytest.mark.chaos
def test_what_was_claimed_and_not_sent_is_open_again_once_it_is_mended(site: Site) -> None:
    site.kill_at("after claim", uuid4())
    queue = site.open()
    assert queue.mend(0, lambda _: None) == ITEMS
    results = queue.requeue(order(), site.marks())
    assert {result.outcome for result in results} == {Outcome.DONE}
    assert set(site.arrived().values()) == {1}


@pytest.mark.chaos
def test_a_broker_that_stops_answering_in_the_middle_leaves_claims_that_a_resume_settles(
    own_kafka: KafkaServer,
) -> None:
    own_kafka.create_topics(["events", "dlq"], partitions=2)
    options = KafkaOptions(bootstrap_servers=own_kafka.address)
    brokers, ledger = Brokers(options), MemoryLedger()
    for number in range(ITEMS):
        brokers.send("dlq", b"%d" % number, key=b"B-%d" % number, headers=made.spring("events"))
    queue = KafkaDeadLetters("dead", "dlq", options, lambda: ledger, timeout=4.0)
    marks = [letter.mark for letter in queue.scan(EVERYTHING)]
    send, asked = queue._sender.send, order()

    def suspended(records: object) -> object:
        own_kafka.suspend()
        return send(records)  # type: ignore[arg-type]

    queue._sender.send = suspended  # type: ignore[method-assign, assignment]
    with pytest.raises(BackendUnavailable) as caught:
        queue.requeue(asked, marks)
    assert f"{ITEMS} items stay claimed" in caught.value.hint
    queue._sender.send = send  # type: ignore[method-assign]
    own_kafka.resume()
    results = eventually(lambda: _again(queue, asked.operation, marks), 60, every=0.5)
    assert {result.outcome for result in results} == {Outcome.DONE}
    arrived = Counter(message.value() for message in brokers.records("events"))
    assert set(arrived) == {b"%d" % number for number in range(ITEMS)}
    assert queue.count() == 0
    own_kafka.restart()
    brokers.send("dlq", b"later", headers=made.spring("events"))
    assert eventually(lambda: queue.count() == 1, 30)
    queue.close()


@pytest.mark.chaos
def test_connections_that_are_cut_in_the_middle_repeat_nothing(make_kafka: MakeKafka, tcp_proxy: MakeProxy) -> None:
    port = free_port()
    proxy = tcp_proxy(port)
    server = make_kafka({"advertised.listeners": f"PLAINTEXT://{proxy.address}"}, port=port)
    server.create_topics(["events", "dlq"], partitions=2)
    options = KafkaOptions(bootstrap_servers=proxy.address)
    brokers, ledger = Brokers(options), MemoryLedger()
    for number in range(ITEMS):
        brokers.send("dlq", b"%d" % number, key=b"B-%d" % number, headers=made.spring("events"))
    queue = KafkaDeadLetters("dead", "dlq", options, lambda: ledger)
    for cut in range(3):
        marks = [letter.mark for letter in queue.scan(EVERYTHING)][:12]
        finish = queue._sender._finish

        def cut_then_finish(producer: Producer, finish: Callable[[Producer], None] = finish) -> None:
            proxy.cut()
            finish(producer)

        queue._sender._finish = cut_then_finish  # type: ignore[method-assign]
        results = queue.requeue(order(), marks)
        queue._sender._finish = finish  # type: ignore[method-assign]
        assert {result.outcome for result in results} == {Outcome.DONE}, cut
        proxy.cut()
    assert queue.count() == ITEMS - 36
    assert set(Counter(message.value() for message in brokers.records("events")).values()) == {1}
    queue.close()


def _again(queue: KafkaDeadLetters, operation: UUID, marks: list[Mark]) -> list[Result]:
    try:
        return queue.requeue(order(operation), marks)
    except BackendUnavailable:
        return []

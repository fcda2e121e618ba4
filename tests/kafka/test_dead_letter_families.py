"""Dead letters of every family, produced with a real producer, read back and put back."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from support import dead_records as made
from support.dead_topics import Brokers
from support.deadletters import order
from support.engines import MakeTopic
from ticketops.backends.kafka.dead_letters import KafkaDeadLetters
from ticketops.backends.memory.ledger import MemoryLedger
from ticketops.domain.deadletters import BodyState, DeadLetter, FaultKind, Headers, Narrowing, Outcome
from ticketops.domain.fingerprint import group_of
from ticketops.domain.record_headers import Family, Position
from ticketops.options import KafkaOptions

MAKERS: dict[str, Callable[..., Headers]] = {
    "connect": made.connect,
    "spring": made.spring,
    "spring-key": made.spring_key,
    "spring-retry": made.spring_retry,
    "cloud-stream": made.cloud_stream,
    "smallrye": made.smallrye,
    "streams": made.streams,
    "share-group": made.share_group,
}
BUSINESS: Headers = (("__TypeId__", b"a.B"), ("x", None), ("x", b""), ("x", b"\xff\x00"))
VALUE = b'{"totalAmount":12345678901234567890.10}'


class Site:
    """A topic, its dead-letter topic, and a queue on it."""

    def __init__(self, kafka: KafkaOptions, make_topic: MakeTopic) -> None:
        self.brokers = Brokers(kafka)
        self.source = make_topic("events", partitions=3)
        self.dead = make_topic("events.dlq", partitions=2)
        self.ledger = MemoryLedger()
        self.queue = self.open()

    def open(self, topic: str | None = None) -> KafkaDeadLetters:
        return KafkaDeadLetters("dead", topic or self.dead, self.brokers.options, lambda: self.ledger)

    def one(self) -> DeadLetter:
        (letter,) = self.queue.scan(Narrowing())
        return letter


@pytest.fixture
def site(kafka: KafkaOptions, make_topic: MakeTopic) -> Iterator[Site]:
    made_ = Site(kafka, make_topic)
    yield made_
    made_.queue.close()


@pytest.mark.parametrize("family", MAKERS)
def test_a_dead_letter_is_read_and_put_back_byte_for_byte(site: Site, family: str) -> None:
    origin = site.brokers.send(site.source, VALUE, key=b"\x00B-1\xff", headers=BUSINESS)
    written = (*BUSINESS, *MAKERS[family](*(origin.topic, origin.partition, origin.offset)))
    if family == "share-group":
        written = written[len(BUSINESS) :]
    site.brokers.send(site.dead, VALUE, key=b"\x00B-1\xff", headers=written)
    letter, sample = site.one(), made.SAMPLES[family]
    assert (letter.origin, letter.destination) == (str(origin), site.source)
    assert (letter.error_class, letter.attempts, letter.payload) == (sample.error_class, sample.attempts, VALUE)
    assert letter.headers == written
    assert letter.metadata["written by"] == sample.family
    (brief,) = site.queue.scan(Narrowing(bodies=False))
    assert group_of(brief) == group_of(letter)
    (result,) = site.queue.requeue(order(), [letter.mark])
    assert result.outcome is Outcome.DONE
    _, back = site.brokers.records(site.source)
    assert (back.key(), back.value(), back.partition()) == (b"\x00B-1\xff", VALUE, origin.partition)
    assert tuple(back.headers()[: len(BUSINESS)]) == BUSINESS
    assert [name for name, _ in back.headers()[len(BUSINESS) :]] == [
        "x-redrive-count",
        "x-redrive-op",
        "x-redrive-of",
        "x-redrive-at",
    ]
    assert site.queue.count() == 0


def test_the_source_is_compared_and_can_be_sent_instead(site: Site) -> None:
    origin = site.brokers.send(site.source, VALUE, headers=BUSINESS)
    changed = b'{"totalAmount":1.2345678901234567E19}'
    place = (origin.topic, origin.partition, origin.offset)
    site.brokers.send(site.dead, changed, headers=(*BUSINESS, *made.spring(*place)))
    letter = site.one()
    source = site.queue.source(letter)
    assert (source.found, source.differs, source.payload, source.position) == (True, ("payload",), VALUE, str(origin))
    asked = order()
    (result,) = site.queue.requeue(type(asked)(operation=asked.operation, actor="me", from_source=True), [letter.mark])
    assert (result.outcome, result.detail) == (Outcome.DONE, "from its source")
    assert [message.value() for message in site.brokers.records(site.source)] == [VALUE, VALUE]


def test_a_source_that_is_gone_is_said_to_be(site: Site) -> None:
    origin = site.brokers.send(site.source, VALUE)
    site.brokers.send(site.dead, VALUE, headers=made.spring(origin.topic, origin.partition, origin.offset))
    letter = site.one()
    site.brokers.expire(origin)
    source = site.queue.source(letter)
    assert (source.found, source.note) == (False, "the source record is gone")
    asked = order()
    (result,) = site.queue.requeue(type(asked)(operation=asked.operation, actor="me", from_source=True), [letter.mark])
    assert result.detail == "its source is gone: the dead letter's own bytes"


def test_a_record_that_is_not_the_source_is_not_taken_for_it(site: Site) -> None:
    origin = site.brokers.send(site.source, VALUE, key=b"another")
    site.brokers.send(site.dead, VALUE, key=b"k", headers=made.spring(origin.topic, origin.partition, origin.offset))
    assert site.queue.source(site.one()).note == "another record is there: its key is another"


def test_a_share_group_that_copies_no_records_is_filled_from_the_source(site: Site) -> None:
    origin = site.brokers.send(site.source, VALUE, key=b"B-1", headers=BUSINESS)
    lost = site.brokers.send(site.source, VALUE, key=b"B-1")
    for place in (origin, Position(lost.topic, lost.partition, lost.offset + 50)):
        headers = made.share_group(place.topic, place.partition, place.offset)
        site.brokers.send(site.dead, None, key=None, headers=headers, partition=0)
    letters = list(site.queue.scan(Narrowing()))
    assert [letter.body for letter in letters] == [BodyState.PRESENT] * 2
    results = site.queue.requeue(order(), [letter.mark for letter in letters])
    assert [result.outcome for result in results] == [Outcome.DONE, Outcome.ORPHAN]
    back = site.brokers.records(site.source)[-1]
    assert (back.key(), back.value(), tuple(back.headers()[: len(BUSINESS)])) == (b"B-1", VALUE, BUSINESS)


def test_a_share_group_loses_headers_but_not_the_count_of_requeues(site: Site) -> None:
    origin = site.brokers.send(site.source, VALUE, key=b"B-1")
    site.brokers.send(
        site.dead, VALUE, key=b"B-1", headers=made.share_group(origin.topic, origin.partition, origin.offset)
    )
    site.queue.requeue(order(), [site.one().mark])
    back = site.brokers.records(site.source)[-1]
    again = made.share_group(site.source, back.partition(), back.offset())
    site.brokers.send(site.dead, VALUE, key=b"B-1", headers=again)
    letter = site.one()
    assert (letter.origin, letter.requeues) == (str(origin), 1)


def test_a_record_without_origin_has_no_destination(site: Site) -> None:
    site.brokers.send(site.dead, VALUE, headers=BUSINESS)
    letter = site.one()
    assert (letter.origin, letter.destination) == (letter.id, "")
    (result,) = site.queue.requeue(order(), [letter.mark])
    assert result.outcome is Outcome.NO_DESTINATION
    assert [fault.kind for fault in site.queue.faults(0)] == [FaultKind.NO_ORIGIN]


def test_an_origin_that_is_gone_is_no_destination(site: Site) -> None:
    site.brokers.send(site.dead, VALUE, headers=made.spring(f"{site.source}-gone"))
    letter = site.one()
    (result,) = site.queue.requeue(order(), [letter.mark])
    assert result.outcome is Outcome.NO_DESTINATION
    assert site.queue.count() == 1
    (fault,) = site.queue.faults(0)
    assert (fault.kind, fault.subject) == (FaultKind.NO_DESTINATION, f"{site.source}-gone")


@pytest.mark.parametrize("headers", [made.connect(), made.streams()], ids=["connect", "streams"])
def test_records_that_carry_the_source_time_are_warned_of(site: Site, headers: Headers) -> None:
    old = datetime.now(UTC) - timedelta(hours=3)
    site.brokers.send(site.dead, VALUE, headers=headers, at=old)
    faults = {fault.kind for fault in site.queue.faults(0)}
    assert FaultKind.SOURCE_TIME in faults
    assert "source record" in site.one().metadata["time"]


def test_tombstones_and_null_keys_go_back_as_they_were(site: Site) -> None:
    site.brokers.send(site.dead, None, key=b"B-1", headers=made.spring(site.source))
    site.brokers.send(site.dead, b"", key=None, headers=made.spring(site.source))
    letters = list(site.queue.scan(Narrowing()))
    assert {(letter.payload, letter.key, letter.body) for letter in letters} == {
        (None, "B-1", BodyState.PRESENT),
        (b"", "", BodyState.PRESENT),
    }
    assert {result.outcome for result in site.queue.requeue(order(), [letter.mark for letter in letters])} == {
        Outcome.DONE
    }
    back = {(message.key(), message.value()) for message in site.brokers.records(site.source)}
    assert back == {(b"B-1", None), (None, b"")}


def test_hostile_headers_and_keys_are_listed(site: Site) -> None:
    hostile: Headers = (
        ("kafka_dlt-original-topic", b"\xff\x00"),
        ("kafka_dlt-original-partition", b"\x80\x00\x00\x00"),
        ("kafka_dlt-original-offset", None),
        ("kafka_dlt-exception-stacktrace", b"\nCaused by: " * 300),
        ("x-redrive-count", b"\x1b[31m"),
        ("x-redrive-of", b"a/b/c"),
        ("\x1b[0m", b"\x1b[0m"),
    )
    site.brokers.send(site.dead, b"\x00\xff", key=b"\xff\xfe", headers=hostile)
    letter = site.one()
    assert (letter.key, letter.payload, letter.headers, letter.requeues) == ("0xfffe", b"\x00\xff", hostile, 0)
    assert letter.metadata["written by"] == Family.SPRING
    (result,) = site.queue.requeue(order(), [letter.mark])
    assert result.outcome is Outcome.NO_DESTINATION


def test_an_edit_is_sent_at_the_requeue(site: Site) -> None:
    site.brokers.send(site.dead, VALUE, key=b"B-1", headers=(*BUSINESS, *made.spring(site.source)))
    letter = site.one()
    site.queue.replace(uuid4(), letter.mark, b"edited")
    (result,) = site.queue.requeue(order(), [site.one().mark])
    assert (result.outcome, result.detail) == (Outcome.DONE, "with the edited payload")
    (back,) = site.brokers.records(site.source)
    assert (back.value(), tuple(back.headers()[: len(BUSINESS)])) == (b"edited", BUSINESS)


def test_items_of_elsewhere_are_brought_in_with_their_time_of_death(site: Site, make_topic: MakeTopic) -> None:
    died = datetime.now(UTC) - timedelta(days=40)
    site.brokers.send(site.dead, VALUE, key=b"B-1", headers=(*BUSINESS, *made.spring(site.source)), at=died)
    letter = site.one()
    other = site.open(make_topic("other.dlq", partitions=1))
    (result,) = other.put([letter])
    assert result.outcome is Outcome.DONE
    assert result.detail.startswith("as ")
    (brought,) = other.scan(Narrowing())
    assert (brought.payload, brought.origin, brought.error_class) == (VALUE, letter.origin, letter.error_class)
    assert brought.failed_at is not None
    assert abs(brought.failed_at - died) < timedelta(seconds=1)
    other.requeue(order(), [brought.mark])
    (back,) = site.brokers.records(site.source)
    assert tuple(back.headers()[: len(BUSINESS)]) == BUSINESS
    other.close()


def test_an_item_of_another_cluster_is_not_taken_for_the_one_that_has_its_id_here(site: Site) -> None:
    site.brokers.send(site.dead, b"there", key=b"B-1", headers=made.spring(site.source), partition=0)
    letter = site.one()
    site.brokers.send(site.dead, b"here", key=b"B-2", headers=made.spring(site.source), partition=1)
    foreign = replace(letter, id=f"{site.dead}/1/0")
    (result,) = site.queue.put([foreign])
    assert result.outcome is Outcome.DONE
    assert sorted(one.payload or b"" for one in site.queue.scan(Narrowing())) == [b"here", b"there", b"there"]
    assert [result.outcome for result in site.queue.put([letter, replace(letter, stored=b"{", id="a")])] == [
        Outcome.EXISTS,
        Outcome.FAILED,
    ]


def test_the_backlog_is_what_the_group_that_failed_has_not_consumed(site: Site) -> None:
    origin = site.brokers.send(site.source, VALUE, key=b"B-1")
    site.brokers.send(site.dead, VALUE, headers=made.spring(origin.topic, origin.partition, origin.offset))
    letter = site.one()
    assert site.queue.backlog(letter.destination) is None
    consumer = Consumer({"bootstrap.servers": site.brokers.options.bootstrap_servers, "group.id": "email-worker"})
    consumer.commit(offsets=[TopicPartition(origin.topic, origin.partition, 0)], asynchronous=False)
    assert site.queue.backlog(letter.destination) == 1
    site.queue.requeue(order(), [letter.mark])
    assert site.queue.backlog(letter.destination) == 2
    consumer.close()
    assert site.queue.backlog("no-such-topic") is None

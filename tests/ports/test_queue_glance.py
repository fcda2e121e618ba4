"""QueueGlance: an empty queue is told from one that may not be, in every place of dead letters that has one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from uuid import uuid4

import pytest

from support.dead_tables import CompensationDeaths, OutboxDeaths
from support.dead_topics import TopicBox
from support.deadletters import make_box, order
from support.engines import MakeTopic
from support.ledgers import open_ledger
from support.waiting import eventually
from ticketops.backends.kafka.dead_letters_glance import TopicGlance
from ticketops.backends.postgres.dead_glance import TableGlance, compensation_glance, outbox_glance
from ticketops.backends.postgres.ledger_glance import PostgresLedgerGlance
from ticketops.backends.postgres.session import Session
from ticketops.domain.deadletters import Mark
from ticketops.domain.queue_kinds import QueueKind
from ticketops.domain.record_headers import Position
from ticketops.errors import SchemaError
from ticketops.options import KafkaOptions, PostgresOptions, RelayOptions
from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance
from ticketops.services.overview.letter_probe import MOST
from ticketops.services.overview.letters import figures, told

MakeTopicGlance = Callable[[str], TopicGlance]


def glance_at(box: OutboxDeaths | CompensationDeaths) -> TableGlance:
    if isinstance(box, OutboxDeaths):
        return outbox_glance(Session(box.postgres, "tests"), box.postgres, box.options, RelayOptions())
    return compensation_glance(Session(box.postgres, "tests"), box.postgres, box.table)


def empty(glance: QueueGlance) -> bool:
    """True where it says for certain that nothing is there."""
    holding = glance.holding(MOST)
    return holding is not None and not holding.count


def same(glance: QueueGlance, queue: DeadLetterQueue) -> None:
    """A glance tells what reading all letters tells."""
    holding = glance.holding(MOST)
    assert holding is not None
    seen, read = told(queue.name, QueueKind(queue.kind), holding), figures(queue)
    assert seen.oldest_seconds == pytest.approx(read.oldest_seconds, abs=30)
    assert replace(seen, oldest_seconds=None) == replace(read, oldest_seconds=None)
    short = glance.holding(1)
    assert short is not None
    assert (short.count, short.causes) == (holding.count, None)


@pytest.fixture(params=["outbox", "outbox-debezium", "compensations"])
def tables(request: pytest.FixtureRequest) -> Iterator[OutboxDeaths | CompensationDeaths]:
    with closing(make_box(request.param, request.getfixturevalue)) as made:
        assert isinstance(made, OutboxDeaths | CompensationDeaths)
        yield made


@pytest.fixture
def outbox(database: PostgresOptions) -> Iterator[OutboxDeaths]:
    with closing(OutboxDeaths(database)) as box:
        yield box


@pytest.fixture
def topic_glance(kafka: KafkaOptions, database: PostgresOptions) -> Iterator[MakeTopicGlance]:
    with ExitStack() as stack:

        def make(topic: str) -> TopicGlance:
            ledger = PostgresLedgerGlance(Session(database, "tests"), database)
            return stack.enter_context(closing(TopicGlance(topic, kafka, ledger)))

        yield make


@pytest.fixture
def topic(kafka: KafkaOptions, database: PostgresOptions, make_topic: MakeTopic) -> Iterator[TopicBox]:
    with closing(TopicBox(kafka, make_topic, open_ledger("postgres", postgres=database))) as box:
        yield box


def test_a_table_is_empty_until_something_dies_and_when_all_of_it_left(
    tables: OutboxDeaths | CompensationDeaths,
) -> None:
    with closing(glance_at(tables)) as glance:
        assert empty(glance)
        first, second = tables.die("B-1"), tables.die("B-2")
        assert not empty(glance)
        tables.queue.requeue(order(), [Mark(first)])
        assert not empty(glance)
        tables.queue.remove(uuid4(), [Mark(second)])
        assert (empty(glance), tables.queue.count()) == (True, 0)


@pytest.mark.parametrize(
    ("state", "status", "attempts"),
    [
        ("retrying", "PENDING", 2),
        ("dead", "FAILED", 5),
        ("parked", "FAILED", 0),
        ("retrying", "FAILED", 2),
        ("blocked", "FAILED", 9),
    ],
)
def test_an_event_is_dead_to_a_glance_where_it_is_to_the_queue(
    outbox: OutboxDeaths, state: str, status: str, attempts: int
) -> None:
    item = outbox.add("B-1")
    outbox.fail(item, state=state)
    outbox.rows.sql(f"update {outbox.table} set status = %s, retry_count = %s where id = %s", status, attempts, item)
    with closing(glance_at(outbox)) as glance:
        assert empty(glance) == (outbox.queue.count() == 0)


def test_a_table_tells_at_a_glance_what_its_letters_tell(tables: OutboxDeaths | CompensationDeaths) -> None:
    for number in range(6):
        tables.die(f"B-{number}")
    with closing(glance_at(tables)) as glance:
        same(glance, tables.queue)


def test_parked_and_skipped_events_are_told_as_such(outbox: OutboxDeaths) -> None:
    for state, error in (("parked", "waits"), ("dead", "skipped by somebody: why"), ("dead", "timed out after 30 s")):
        item = outbox.add("B-1")
        outbox.fail(item, state=state, message=error)
        outbox.rows.sql(
            f"update {outbox.table} set status = 'FAILED', retry_count = 5, created_at = now() - interval '2 hours'"
            " where id = %s", item,
        )  # fmt: skip
    with closing(glance_at(outbox)) as glance:
        same(glance, outbox.queue)


def test_a_table_that_is_not_there_is_an_error(database: PostgresOptions) -> None:
    with (
        closing(compensation_glance(Session(database, "tests"), database, "no_such_table")) as glance,
        pytest.raises(SchemaError),
    ):
        empty(glance)


def test_a_topic_that_nobody_made_is_empty(topic_glance: MakeTopicGlance, topic_prefix: str) -> None:
    assert empty(topic_glance(f"{topic_prefix}-none"))


def test_a_topic_is_empty_where_the_ledger_is_level_with_it(topic: TopicBox, topic_glance: MakeTopicGlance) -> None:
    glance = topic_glance(topic.topic)
    assert not empty(glance)  # nobody has looked into it yet
    assert topic.queue.count() == 0
    assert empty(glance)
    died = topic.die("B-1")
    eventually(lambda: not empty(glance))
    assert topic.queue.count() == 1
    assert not empty(glance)
    topic.queue.remove(uuid4(), [Mark(died)])
    assert (empty(glance), topic.queue.count()) == (True, 0)
    topic.die("B-2")
    eventually(lambda: not empty(glance))


def test_a_topic_tells_at_a_glance_what_its_letters_tell(topic: TopicBox, topic_glance: MakeTopicGlance) -> None:
    glance = topic_glance(topic.topic)
    for number in range(6):
        topic.die(f"B-{number}")
    eventually(lambda: topic.queue.count() == 6)
    same(glance, topic.queue)


def test_what_retention_took_before_anybody_looked_needs_nobody(topic: TopicBox, topic_glance: MakeTopicGlance) -> None:
    assert topic.queue.count() == 0
    position = Position.parse(topic.die("B-1"))
    assert position is not None
    topic.brokers.expire(position)
    glance = topic_glance(topic.topic)
    eventually(lambda: empty(glance))
    assert topic.queue.count() == 0

"""QueueGlance: an empty queue is told from one that may not be, in every place of dead letters that has one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
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
from ticketops.domain.deadletters import Mark
from ticketops.domain.record_headers import Position
from ticketops.errors import SchemaError
from ticketops.options import KafkaOptions, PostgresOptions, RelayOptions

MakeTopicGlance = Callable[[str], TopicGlance]


def glance_at(box: OutboxDeaths | CompensationDeaths) -> TableGlance:
    if isinstance(box, OutboxDeaths):
        return outbox_glance(box.postgres, box.options, RelayOptions())
    return compensation_glance(box.postgres, box.table)


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
            ledger = PostgresLedgerGlance(database, missing="run `ticketops db upgrade`")
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
        assert glance.empty()
        first, second = tables.die("B-1"), tables.die("B-2")
        assert not glance.empty()
        tables.queue.requeue(order(), [Mark(first)])
        assert not glance.empty()
        tables.queue.remove(uuid4(), [Mark(second)])
        assert (glance.empty(), tables.queue.count()) == (True, 0)


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
        assert glance.empty() == (outbox.queue.count() == 0)


def test_a_table_that_is_not_there_is_an_error(database: PostgresOptions) -> None:
    with closing(compensation_glance(database, "no_such_table")) as glance, pytest.raises(SchemaError):
        glance.empty()


def test_a_topic_that_nobody_made_is_empty(topic_glance: MakeTopicGlance, topic_prefix: str) -> None:
    assert topic_glance(f"{topic_prefix}-none").empty()


def test_a_topic_is_empty_where_the_ledger_is_level_with_it(topic: TopicBox, topic_glance: MakeTopicGlance) -> None:
    glance = topic_glance(topic.topic)
    assert not glance.empty()  # nobody has looked into it yet
    assert topic.queue.count() == 0
    assert glance.empty()
    died = topic.die("B-1")
    eventually(lambda: not glance.empty())
    assert topic.queue.count() == 1
    assert not glance.empty()
    topic.queue.remove(uuid4(), [Mark(died)])
    assert (glance.empty(), topic.queue.count()) == (True, 0)
    topic.die("B-2")
    eventually(lambda: not glance.empty())


def test_what_retention_took_before_anybody_looked_needs_nobody(topic: TopicBox, topic_glance: MakeTopicGlance) -> None:
    assert topic.queue.count() == 0
    position = Position.parse(topic.die("B-1"))
    assert position is not None
    topic.brokers.expire(position)
    glance = topic_glance(topic.topic)
    eventually(glance.empty)
    assert topic.queue.count() == 0

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from ticketops.options import KafkaOptions, PostgresOptions


@pytest.mark.parametrize("round_", [1, 2])
def test_each_test_has_a_database_of_its_own(database: PostgresOptions, round_: int) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("create table only_mine as select %s::int as round", (round_,))


def test_a_database_is_upgraded_unless_it_shall_be_empty(
    database: PostgresOptions, empty_database: PostgresOptions
) -> None:
    found = []
    for options in (database, empty_database):
        with psycopg.connect(options.url) as connection:
            found.append(connection.execute("select to_regclass('booking.outbox_events')::text").fetchone())

    assert found == [("booking.outbox_events",), (None,)]


def test_a_topic_of_the_tests_own_is_there(kafka: KafkaOptions, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})

    assert len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 4

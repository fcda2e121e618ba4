"""Waker: tells that there may be new events."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

import psycopg
import pytest

from support.engines import MakeProxy
from support.outboxes import Box, MemoryBox, PostgresBox, add, event
from ticketops.backends.memory.waker import MemoryWaker
from ticketops.backends.postgres.waker import PostgresWaker
from ticketops.errors import BackendUnavailable
from ticketops.ports.relay import Waker

Awake = tuple[Box, Waker]


@pytest.fixture(params=["memory", "postgres"])
def awake(request: pytest.FixtureRequest) -> Iterator[Awake]:
    if request.param == "memory":
        memory = MemoryBox()
        with closing(MemoryWaker(memory.store)) as waker:
            yield memory, waker
        return
    box: PostgresBox = request.getfixturevalue("pg_box")
    box.sql(
        f"create trigger ticketops_wake after insert on {box.table} "
        f"for each statement execute function ticketops.wake_outbox('{box.scope}')"
    )
    with closing(listening(box)) as found:
        yield box, found


def listening(box: PostgresBox) -> PostgresWaker:
    waker = PostgresWaker(box.postgres, box.options, shards=box.shards, application="tests")
    assert waker.check().possible
    waker.listen()
    return waker


def test_a_commit_wakes(awake: Awake) -> None:
    box, waker = awake
    assert not waker.wait(0.01)
    with box.writing() as writer:
        writer.add(event("A"))
        assert not waker.wait(0.01)
    assert waker.wait(10)
    assert not waker.wait(0.01)


def test_a_commit_before_the_wait_wakes_it(awake: Awake) -> None:
    box, waker = awake
    add(box, event("A"))
    assert waker.wait(10)


def test_closing_may_be_repeated(awake: Awake) -> None:
    _, waker = awake
    waker.close()
    waker.close()


def test_wakes_of_other_outboxes_pass_by(pg_box: PostgresBox) -> None:
    pg_box.sql(
        f"create trigger ticketops_wake after insert on {pg_box.table} "
        f"for each statement execute function ticketops.wake_outbox('{pg_box.scope}')"
    )
    with closing(listening(pg_box)) as waker:
        pg_box.sql("notify ticketops_outbox, 'booking.another'")
        assert not waker.wait(0.05)


def test_without_the_trigger_it_says_so(pg_box: PostgresBox) -> None:
    with closing(PostgresWaker(pg_box.postgres, pg_box.options, shards=4, application="tests")) as waker:
        check = waker.check()
    assert not check.possible
    assert "trigger" in check.reason


def test_a_lost_connection_is_an_unreachable_backend(pg_box: PostgresBox) -> None:
    pg_box.sql(
        f"create trigger ticketops_wake after insert on {pg_box.table} "
        f"for each statement execute function ticketops.wake_outbox('{pg_box.scope}')"
    )
    with closing(listening(pg_box)) as waker:
        with psycopg.connect(pg_box.postgres.url, autocommit=True) as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and query ilike 'listen%' and pid <> pg_backend_pid()"
            )
        with pytest.raises(BackendUnavailable):
            waker.wait(10)


def test_a_database_that_hangs_is_an_unreachable_backend(pg_box: PostgresBox, tcp_proxy: MakeProxy) -> None:
    proxy = tcp_proxy(urlsplit(pg_box.postgres.url).port or 5432)
    behind = replace(pg_box.postgres, url=proxy.url(pg_box.postgres.url), answer_timeout=0.5)
    with closing(PostgresWaker(behind, pg_box.options, shards=4, application="tests")) as waker:
        proxy.stall()
        with pytest.raises(BackendUnavailable):
            waker.check()
    proxy.resume()
    with closing(PostgresWaker(behind, pg_box.options, shards=4, application="tests")) as waker:
        proxy.stall()
        with pytest.raises(BackendUnavailable):
            waker.listen()

"""What a journal of attempts and durable pauses promise, in memory and in PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from ticketops.backends.memory.consumer import MemoryAttemptJournal, MemoryJournalStore, MemoryPauses
from ticketops.backends.postgres.consumer_journal import PostgresAttemptJournal, PostgresPauses
from ticketops.domain.consuming import Partition, Position
from ticketops.domain.workers import PauseScope, paused_topics
from ticketops.options import PostgresOptions
from ticketops.ports.consumers import AttemptJournal, Pauses

A, B = Partition("events", 0), Partition("events", 1)
Make = Callable[[], AttemptJournal]


def at(partition: Partition, *offsets: int) -> list[Position]:
    return [Position(partition, offset) for offset in offsets]


@pytest.fixture(params=["memory", "postgres"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes journals of one consumer, each of another process."""
    if request.param == "memory":
        store = MemoryJournalStore()
        yield lambda: MemoryAttemptJournal(store)
        return
    database: PostgresOptions = request.getfixturevalue("database")
    with ExitStack() as stack:

        def new() -> AttemptJournal:
            journal = PostgresAttemptJournal(database, "group", uuid4(), application="test")
            stack.callback(journal.close)
            return journal

        yield new


@pytest.fixture(params=["memory", "postgres"])
def pauses(request: pytest.FixtureRequest) -> Iterator[Pauses]:
    if request.param == "memory":
        yield MemoryPauses()
        return
    found = PostgresPauses(request.getfixturevalue("database"), "group", application="test")
    yield found
    found.close()


def test_what_a_dead_process_had_in_hand_is_suspected(make: Make) -> None:
    dead, heir = make(), make()
    dead.begin(0, at(A, 1, 2), alone=False)
    dead.begin(1, [*at(A, 5), *at(B, 7)], alone=False)
    assert heir.take_over([A]) == {Position(A, 1): 0, Position(A, 2): 0, Position(A, 5): 0}
    assert heir.take_over([B]) == {Position(B, 7): 0}


def test_one_s_own_is_not_suspected(make: Make) -> None:
    mine = make()
    mine.begin(0, at(A, 1), alone=True)
    assert mine.take_over([A, B]) == {}


def test_a_batch_takes_the_place_of_the_one_before(make: Make) -> None:
    dead = make()
    dead.begin(0, at(A, 1, 2), alone=False)
    dead.begin(0, at(A, 3), alone=False)
    assert make().take_over([A]) == {Position(A, 3): 0}


def test_what_is_cleared_or_closed_leaves_nothing(make: Make) -> None:
    first, second = make(), make()
    first.begin(0, at(A, 1), alone=False)
    first.clear(0)
    second.begin(0, at(A, 2), alone=False)
    second.close()
    assert make().take_over([A]) == {}


def test_deaths_count_only_where_the_record_was_alone(make: Make) -> None:
    for alone, offsets, expected in ((False, (1,), 0), (True, (1,), 1), (True, (1,), 2), (False, (1, 2), 2)):
        make().begin(0, at(A, *offsets), alone=alone)
        assert make().take_over([A])[Position(A, 1)] == expected


def test_what_was_acquitted_is_forgotten(make: Make) -> None:
    make().begin(0, at(A, 1, 2), alone=False)
    heir = make()
    heir.take_over([A])
    heir.acquit(at(A, 1))
    assert make().take_over([A]) == {Position(A, 2): 0}


def test_pauses_are_kept_replaced_and_ended(pauses: Pauses) -> None:
    pauses.pause(PauseScope.TOPIC, "events", "me@here", "first")
    pauses.pause(PauseScope.TOPIC, "events", "you@here", "second")
    pauses.pause(PauseScope.ALL, "", "me@here", "")
    found = pauses.in_force()
    assert [(one.scope, one.value, one.by, one.reason) for one in found] == [
        (PauseScope.ALL, "", "me@here", ""),
        (PauseScope.TOPIC, "events", "you@here", "second"),
    ]
    assert paused_topics(found, frozenset({"events", "others"})) == {"events", "others"}
    assert pauses.resume(PauseScope.ALL, "", "me@here", "")
    assert not pauses.resume(PauseScope.ALL, "", "me@here", "")
    assert paused_topics(pauses.in_force(), frozenset({"events", "others"})) == {"events"}

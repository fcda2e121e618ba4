"""Transitions on a PostgreSQL in trouble."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random

import psycopg
import pytest

from support.engines import MakePostgres
from support.machines import PostgresMachineBox, booking
from support.waiting import eventually
from ticketops.backends.postgres.states import PostgresStateView
from ticketops.backends.postgres.transitions import PostgresTransitions
from ticketops.backends.postgres.upgrade import PostgresSchema
from ticketops.domain.bookings import BOOKING
from ticketops.domain.database import UpgradeRequest
from ticketops.domain.machine import Machine, Refusal, Rule
from ticketops.domain.outbox import OutboxEvent
from ticketops.errors import BackendError, BackendUnavailable, DataError, LockTimeout
from ticketops.options import OutboxOptions, PostgresOptions, RelayOptions, StateOptions
from ticketops.ports.transitions import TransitionStore
from ticketops.services.transitions.verifying import Verifier


def opened(options: PostgresOptions, machine: Machine = BOOKING) -> PostgresTransitions:
    return PostgresTransitions(machine, options, StateOptions().places, OutboxOptions())


def create(store: TransitionStore) -> str:
    with store.unit() as unit:
        return unit.create(booking(), triggered_by="test").key


def move(store: TransitionStore, key: str, event: str, event_id: str) -> str | Refusal | None:
    """As a consumer: once for each event id."""
    with store.unit() as unit:
        if not unit.unseen("test", [event_id]):
            return None
        draft = unit.draft(unit.lock([key])[key], triggered_by="test")
        done = draft.fire(event)
        unit.save([draft.change()])
    return done


def patiently(step: Callable[[], object]) -> object:
    """Repeat what is transient."""
    found: list[object] = []

    def tried() -> bool:
        try:
            found.append(step())
        except (BackendUnavailable, LockTimeout):
            return False
        return True

    eventually(tried, 60)
    return found[0]


def test_a_server_that_dies_and_restarts_loses_nothing_and_repeats_nothing(make_postgres: MakePostgres) -> None:
    server = make_postgres(durable=True)
    options = PostgresOptions(url=server.address, answer_timeout=5.0)
    PostgresSchema(options, OutboxOptions(), RelayOptions()).apply(UpgradeRequest(), actor="t", progress=lambda _: None)
    store = opened(options)
    key = create(store)

    def cut_off() -> None:
        with store.unit() as unit:
            draft = unit.draft(unit.lock([key])[key], triggered_by="test")
            draft.fire("RESERVE_SEATS")
            unit.save([draft.change()])
            server.kill()

    with pytest.raises(BackendUnavailable) as raised:
        cut_off()
    assert raised.value.transient
    server.restart()
    assert patiently(lambda: move(store, key, "RESERVE_SEATS", "e-1")) in {"RESERVING", None}
    assert patiently(lambda: move(store, key, "RESERVE_SEATS", "e-1")) is None
    assert store.find(key)[0].state == "RESERVING"
    server.suspend()
    with pytest.raises(BackendUnavailable):
        store.find(key)
    server.resume()
    assert patiently(lambda: move(store, key, "SEATS_RESERVED", "e-2")) in {"SEATS_RESERVED", None}
    view = PostgresStateView(BOOKING, options, StateOptions().places)
    assert not list(Verifier(BOOKING, view, history_days=90, grace=0).run())
    view.close()
    store.close()


@pytest.mark.parametrize("seed", range(2))
def test_many_events_at_once_leave_histories_that_are_valid(database: PostgresOptions, seed: int) -> None:
    """Workers with random events, some of them repeated, on few bookings: each move is in the history once."""
    box = PostgresMachineBox(database)
    keys = [create(box.store()) for _ in range(3)]
    draw = Random(seed)  # noqa: S311 - a test's choice
    events = [(draw.choice(keys), draw.choice(BOOKING.events), f"e-{draw.randrange(60)}") for _ in range(90)]
    moved: list[str] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        store = opened(PostgresOptions(url=database.url, lock_timeout=30.0))
        for key, event, event_id in events[number::3]:
            if isinstance(move(store, key, event, event_id), str):
                with lock:
                    moved.append(event)
        store.close()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, range(3)))
    assert sum(len(box.history(key)) for key in keys) == len(moved) + len(keys)
    view = box.view()
    assert not list(Verifier(BOOKING, view, history_days=90, grace=0).run())
    box.close()


def test_units_that_lock_in_another_order_do_not_wait_for_each_other_in_a_circle(database: PostgresOptions) -> None:
    with closing(opened(database)) as maker:
        keys = [create(maker) for _ in range(8)]

    def work(order: list[str]) -> None:
        store = opened(PostgresOptions(url=database.url, lock_timeout=30.0))
        for number in range(10):
            with store.unit() as unit:
                unit.unseen(f"{order[0]}-{number}", order)
                unit.lock(order)
        store.close()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, (keys, keys[::-1])))


def test_a_lock_of_another_service_is_given_up_in_time(database: PostgresOptions) -> None:
    store = opened(PostgresOptions(url=database.url, lock_timeout=0.2))
    key = create(store)
    with psycopg.connect(database.url) as other:
        other.execute("select 1 from booking.bookings where booking_id = %s for update", [key])
        with pytest.raises(LockTimeout) as raised:
            move(store, key, "CANCEL", "e-1")
    assert raised.value.transient
    assert move(store, key, "CANCEL", "e-1") == "CANCELLED"
    store.close()


def test_what_the_table_refuses_leaves_nothing(database: PostgresOptions) -> None:
    odd = Machine(name="odd", rules=(Rule("PENDING", "GO", "ELSEWHERE"),), initial="PENDING", terminal=frozenset())
    store = opened(database, odd)
    key = create(store)
    with pytest.raises(BackendError, match="refused"):
        move(store, key, "GO", "e-1")
    assert store.find(key)[0].state == "PENDING"
    with store.unit() as unit:
        assert unit.unseen("test", ["e-1"]) == {"e-1"}
    store.close()


def test_an_event_id_that_is_in_the_outbox_already_leaves_nothing(database: PostgresOptions) -> None:
    store = opened(database)
    event = OutboxEvent("BOOKING", "B-1", "BOOKING_CREATED", {})
    for expected in (None, DataError):
        try:
            with store.unit() as unit:
                unit.write([event])
            assert expected is None
        except DataError:
            assert expected is DataError
    store.close()

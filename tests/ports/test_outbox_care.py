"""OutboxCare: what the one leader does now and then, in memory and in PostgreSQL."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from support.outboxes import DEBEZIUM, MAX_ATTEMPTS, Box, PostgresBox, Shape, add, event, own_all, request
from ticketops.domain.outbox import FailureState, Status
from ticketops.domain.relay import Failed, Settlement
from ticketops.options import OutboxColumns

DAY = 86_400.0
TIMED = replace(DEBEZIUM, columns=OutboxColumns(status="", published_at="", retry_count="", last_error=""))
"""No status, but a time."""


def fail(box: Box, event_id: bytes, state: FailureState, delay: float | None = None) -> None:
    held, source = own_all_again(box), box.source()
    one = next(e for e in source.read(request(held, failures=False)) if e.id == event_id)
    leases = frozenset(lease for lease in held if lease.shard == one.shard)
    source.settle(Settlement(leases, (), failed=(Failed(one, state, MAX_ATTEMPTS, delay, "no"),)))


def own_all_again(box: Box) -> Any:
    box.expire()
    return own_all(box)


def test_the_backlog_is_measured(plain_box: Box) -> None:
    own_all(plain_box)
    assert plain_box.care().backlog().pending == 0
    assert plain_box.care().backlog().oldest_seconds is None
    old, retrying, dead, _, published = add(plain_box, *(event(f"B-{n}") for n in range(5)))
    fail(plain_box, retrying, FailureState.RETRYING, 1000.0)
    fail(plain_box, dead, FailureState.DEAD)
    plain_box.age(retrying, 5000)
    plain_box.age(old, 100)
    plain_box.change(published, Status.PUBLISHED)
    backlog = plain_box.care().backlog()
    assert (backlog.pending, backlog.held_back, backlog.dead) == (3, 1, 1)
    assert 100 <= (backlog.oldest_seconds or 0) < 160


@pytest.mark.parametrize("shape", [DEBEZIUM, TIMED])
def test_dead_letters_of_a_table_without_a_status_are_no_backlog(make_box: Any, shape: Shape) -> None:
    box = make_box(shape)
    own_all(box)
    dead, parked, _ = add(box, event("A"), event("B"), event("C"))
    fail(box, dead, FailureState.DEAD)
    fail(box, parked, FailureState.PARKED)
    if shape is TIMED:
        box.sql(f"update {box.table} set created_at = now() - interval '1 hour' where aggregate_id <> 'C'")
    backlog = box.care().backlog()
    assert (backlog.pending, backlog.dead) == (1, 2)
    assert (backlog.oldest_seconds or 0) < 60


@pytest.mark.parametrize("endless", ["infinity", "-infinity"])
def test_a_row_whose_time_is_infinite_has_no_age(pg_box: PostgresBox, endless: str) -> None:
    """Servers before PostgreSQL 17 refuse to compute one."""
    held = own_all(pg_box)
    strange, _ = add(pg_box, event("A"), event("B"))
    pg_box.sql(f"update {pg_box.table} set created_at = '{endless}' where aggregate_id = 'A'")
    ages = {e.id: e.age for e in pg_box.source().read(request(held))}
    assert ages[strange] == 0
    backlog = pg_box.care().backlog()
    assert backlog.pending == 2
    assert (backlog.oldest_seconds or 0) < 600


def test_old_published_rows_are_deleted_by_the_batch(plain_box: Box) -> None:
    care = plain_box.care()
    ids = add(plain_box, *(event(f"B-{n}") for n in range(6)))
    for event_id in ids[:5]:
        plain_box.change(event_id, Status.PUBLISHED)
    for event_id in ids[:4]:
        plain_box.age(event_id, 8 * DAY)
    plain_box.age(ids[5], 8 * DAY)
    assert care.delete_published(7 * DAY, 3) == 3
    assert care.delete_published(7 * DAY, 3) == 1
    assert care.delete_published(7 * DAY, 3) == 0
    assert [plain_box.row(i) is not None for i in ids] == [False] * 4 + [True, True]


def test_what_is_in_flight_or_locked_is_not_deleted(plain_box: Box) -> None:
    held, source, care = own_all(plain_box), plain_box.source(), plain_box.care()
    flying, locked, gone = add(plain_box, event("A"), event("B"), event("C"))
    events = source.read(request(held))
    source.begin(uuid4(), frozenset(held), [e for e in events if e.id == flying])
    for event_id in (flying, locked, gone):
        plain_box.change(event_id, Status.PUBLISHED)
        plain_box.age(event_id, 8 * DAY)
    with plain_box.locking(locked):
        assert care.delete_published(7 * DAY, 10) == 1
    assert (plain_box.row(flying), plain_box.row(gone)) == (plain_box.row(flying), None)
    assert plain_box.row(flying) is not None


def test_stray_failed_rows_are_adopted_if_nobody_touched_them(plain_box: Box) -> None:
    care = plain_box.care()
    own_all(plain_box)
    stray, counted, done, dead = add(plain_box, *(event(f"B-{n}") for n in range(4)))
    fail(plain_box, dead, FailureState.DEAD)
    plain_box.change(stray, Status.FAILED, 1)
    plain_box.change(counted, Status.FAILED, 2)
    plain_box.change(done, Status.FAILED, MAX_ATTEMPTS)
    seen = care.failed(MAX_ATTEMPTS, 10)
    assert seen == {UUID(bytes=stray): 1, UUID(bytes=counted): 2}
    assert len(care.failed(MAX_ATTEMPTS, 1)) == 1
    plain_box.change(counted, Status.FAILED, 3)
    assert care.adopt({}) == 0
    assert care.adopt(seen) == 1
    assert [row.status for row in map(plain_box.row, (stray, counted)) if row] == ["PENDING", "FAILED"]
    assert care.adopt(seen) == 0


def test_a_locked_row_does_not_keep_others_from_adoption(plain_box: Box) -> None:
    care = plain_box.care()
    locked, stray = add(plain_box, event("A"), event("B"))
    for event_id in (locked, stray):
        plain_box.change(event_id, Status.FAILED, 1)
    seen = care.failed(MAX_ATTEMPTS, 10)
    with plain_box.locking(locked):
        assert care.adopt(seen) == 1
    assert [row.status for row in map(plain_box.row, (stray, locked)) if row] == ["PENDING", "FAILED"]


@pytest.mark.parametrize("shape", ["memory", "postgres", "postgres-no-seq", "debezium"])
def test_successors_of_a_parked_event_are_parked_in_bounded_steps(make_box: Any, shape: str) -> None:
    box = make_box(shape)
    held, care, source = own_all(box), box.care(), box.source()
    ids = add(box, *(event("A") for _ in range(5)), event("B"))
    fail(box, ids[0], FailureState.PARKED)
    steps = 0
    while care.tidy_failures(2):
        steps += 1
        assert steps < 10
    held = own_all_again(box)
    assert [e.id for e in source.read(request(held))] == ids[5:]
    assert {i for i, (state, _) in box.failures().items() if state is FailureState.PARKED} == set(ids[:5])
    if box.has_status:
        rows = [box.row(i) for i in ids]
        assert [row.status for row in rows if row] == ["FAILED"] * 5 + ["PENDING"]
        assert all(row.retry_count >= MAX_ATTEMPTS for row in rows[:5] if row)


def test_a_locked_successor_is_parked_later(plain_box: Box) -> None:
    care = plain_box.care()
    own_all(plain_box)
    first, locked, free = add(plain_box, event("A"), event("A"), event("A"))
    fail(plain_box, first, FailureState.PARKED)
    with plain_box.locking(locked):
        care.tidy_failures(10)
        row = plain_box.row(free)
        assert row is not None
        assert row.status == "FAILED"
    care.tidy_failures(10)
    row = plain_box.row(locked)
    assert row is not None
    assert row.status == "FAILED"


def test_failures_of_events_that_are_gone_are_forgotten(plain_box: Box) -> None:
    care = plain_box.care()
    own_all(plain_box)
    published, waiting, dead, gone = add(plain_box, event("A"), event("B"), event("C"), event("D"))
    fail(plain_box, published, FailureState.BLOCKED)
    fail(plain_box, waiting, FailureState.RETRYING, 1000.0)
    fail(plain_box, dead, FailureState.DEAD)
    fail(plain_box, gone, FailureState.DEAD)
    plain_box.change(published, Status.PUBLISHED)
    plain_box.remove(gone)
    assert care.tidy_failures(10) == 2
    assert set(plain_box.failures()) == {waiting, dead}
    assert care.tidy_failures(10) == 0


def test_a_table_without_a_status_has_nothing_to_clean(make_box: Any) -> None:
    box = make_box("debezium")
    care = box.care()
    add(box, event("A"))
    assert (care.delete_published(0, 10), care.failed(5, 10), care.adopt({})) == (0, {}, 0)


def test_closing_may_be_repeated(plain_box: Box) -> None:
    care = plain_box.care()
    care.backlog()
    care.close()
    care.close()
    assert care.backlog().pending == 0


def test_boxes_do_not_see_each_other(make_box: Any) -> None:
    one: PostgresBox = make_box("postgres")
    other: PostgresBox = make_box("postgres")
    own_all(one)
    (event_id,) = add(one, event("A"))
    fail(one, event_id, FailureState.BLOCKED)
    assert other.care().tidy_failures(10) == 0
    assert other.care().backlog().held_back == 0
    assert set(one.failures()) == {event_id}

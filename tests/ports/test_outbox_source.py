"""OutboxSource: read in order, begin, settle; in memory and over every kind of table in PostgreSQL."""

import json
from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.outboxes import (
    TTL,
    Box,
    MemoryBox,
    PostgresBox,
    PostgresWriter,
    Shape,
    add,
    event,
    own_all,
    relay,
    request,
)
from ticketops.domain.outbox import FailureState, PendingEvent, Status
from ticketops.domain.relay import Failed, Lease, Settlement
from ticketops.domain.shards import rollout_bucket, shard_of
from ticketops.errors import DeniedError, LeaseLost, SchemaError
from ticketops.options import OutboxColumns
from ticketops.ports.relay import OutboxSource


def leases_of(held: tuple[Lease, ...], *events: PendingEvent) -> frozenset[Lease]:
    return frozenset(lease for lease in held if lease.shard in {e.shard for e in events})


def fail(
    source: OutboxSource, held: tuple[Lease, ...], one: PendingEvent, state: FailureState, delay: float | None = None
) -> None:
    failed = Failed(one, state, one.attempts + 1, delay, "boom\0\x1b[31m")
    source.settle(Settlement(leases_of(held, one), (), failed=(failed,)))


def read_ids(source: OutboxSource, held: tuple[Lease, ...], **changes: Any) -> list[bytes]:
    return [e.id for e in source.read(request(held, **changes))]


def in_order(events: list[PendingEvent], written: list[bytes]) -> bool:
    by_shard = defaultdict(list)
    for one in events:
        by_shard[one.shard].append(written.index(one.id))
    return all(places == sorted(places) for places in by_shard.values())


def test_events_are_read_as_they_were_written(box: Box) -> None:
    held, source = own_all(box), box.source()
    source.check()
    assert source.read(request(held)) == []
    payload = {"bookingId": "B-1", "text": "Größe 💺 \u2028", "n": 1.50}
    ids = add(box, event("B-ß", "BOOKING", payload), event("B-ß", "BOOKING", payload), event("P-1", "PAYMENT"))
    events = {e.id: e for e in source.read(request(held))}
    first = events[ids[0]]
    assert (first.aggregate_type, first.aggregate_id, first.event_type) == ("BOOKING", "B-ß", "BOOKING_CREATED")
    assert first.shard == shard_of("B-ß", box.shards)
    assert (first.attempts, first.trace_parent) == (0, None)
    assert b"Gr\xc3\xb6\xc3\x9fe" in (first.payload or b"")
    assert set(events) == set(ids)
    seqs = [events[i].seq for i in ids]
    assert seqs == sorted(seqs, key=lambda seq: seq or 0) if box.has_seq else seqs == [None] * 3
    if first.created_at is not None:
        assert first.created_at.endswith("Z")
        assert datetime.fromisoformat(first.created_at)
        assert 0 <= first.age < 60


def test_every_shard_is_read_in_order(box: Box) -> None:
    held, source = own_all(box), box.source()
    written = add(box, *(event(f"B-{n % 7}") for n in range(60)))
    events = source.read(request(held))
    assert sorted(e.id for e in events) == sorted(written)
    assert in_order(events, written)
    part = source.read(request(held[:2], limit=10))
    assert {e.shard for e in part} <= {lease.shard for lease in held[:2]}
    assert len(part) == 10
    assert in_order(part, written)


def test_shards_are_served_in_the_order_asked_for(make_box: Any) -> None:
    for shape in ("memory", "postgres"):
        box = make_box(shape)
        held, source = own_all(box), box.source()
        add(box, *(event(f"B-{n}") for n in range(40)))
        turned = (*held[2:], *held[:2])
        events = source.read(request(turned, per_shard=3))
        shards = list(dict.fromkeys(e.shard for e in events))
        assert shards == [lease.shard for lease in turned]
        assert len(events) == 12


@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_an_aggregate_comes_as_a_run_from_its_first_event(box: Box, limit: int) -> None:
    held, source = own_all(box), box.source()
    written = add(box, *(event(f"B-{n % 5}") for n in range(30)))
    events = source.read(request(held, limit=limit, per_shard=max(1, limit // 2)))
    assert 0 < len(events) <= limit
    assert_runs(events, written, [f"B-{n % 5}" for n in range(30)])


def assert_runs(
    events: list[PendingEvent], written: list[bytes], keys: list[str], excluded: frozenset[bytes] = frozenset()
) -> None:
    of_key: dict[str, list[bytes]] = defaultdict(list)
    for key, event_id in zip(keys, written, strict=True):
        if event_id not in excluded:
            of_key[key].append(event_id)
    got: dict[str, list[bytes]] = defaultdict(list)
    for one in events:
        got[one.aggregate_id].append(one.id)
    for key, ids in got.items():
        assert ids == of_key[key][: len(ids)]


def test_excluded_ids_are_passed_over(box: Box) -> None:
    held, source = own_all(box), box.source()
    keys = [f"B-{n % 3}" for n in range(12)]
    written = add(box, *(event(key) for key in keys))
    excluded = (written[0], written[5], uuid4().bytes)
    events = source.read(request(held, exclude=excluded, limit=7))
    assert not {e.id for e in events} & set(excluded)
    assert_runs(events, written, keys, frozenset(excluded))


def test_a_batch_is_cut_where_it_grows_too_large(box: Box) -> None:
    held, source = own_all(box), box.source()
    keys = [f"B-{n % 3}" for n in range(600)]
    written = add(box, *(event(key, payload={"x": "y" * 990}) for key in keys))
    events = source.read(request(held, max_bytes=20_000))
    assert 20 <= len(events) <= 21
    assert_runs(events, written, keys)
    assert len(source.read(request(held, max_bytes=1))) == 1
    assert len(source.read(request(held, max_bytes=10_000_000))) == 600


def test_nothing_of_a_held_back_aggregate_is_read(box: Box) -> None:
    held, source = own_all(box), box.source()
    a, b, c, d, *rest = add(box, *(event(key) for key in ("A", "B", "C", "D", "A", "B", "C", "D")))
    by_id = {e.id: e for e in source.read(request(held))}
    fail(source, held, by_id[a], FailureState.RETRYING, 1000.0)
    fail(source, held, by_id[b], FailureState.BLOCKED)
    fail(source, held, by_id[c], FailureState.PARKED)
    fail(source, held, by_id[d], FailureState.DEAD)
    assert read_ids(source, held) == [rest[3]]
    found = source.find(next(iter(leases_of(held, by_id[a]))), a)
    assert found is not None
    assert (found.id, found.attempts) == (a, 1)
    box.make_due()
    assert set(read_ids(source, held)) == {a, rest[0], rest[3]}
    due = next(e for e in source.read(request(held)) if e.id == a)
    assert due.attempts == 1


def test_an_aggregate_is_type_and_id(plain_box: Box) -> None:
    held, source = own_all(plain_box), plain_box.source()
    booking, _, payment = add(plain_box, event("X", "BOOKING"), event("X", "BOOKING"), event("X", "PAYMENT"))
    one = next(e for e in source.read(request(held)) if e.id == booking)
    fail(source, held, one, FailureState.BLOCKED)
    assert read_ids(source, held) == [payment]


def test_held_back_aggregates_are_looked_at_only_when_asked(plain_box: Box) -> None:
    held, source = own_all(plain_box), plain_box.source()
    (blocked,) = add(plain_box, event("A"))
    fail(source, held, source.read(request(held))[0], FailureState.BLOCKED)
    assert read_ids(source, held, failures=False) == [blocked]
    assert read_ids(source, held) == []


def test_types_and_percentage_choose(box: Box) -> None:
    held, source = own_all(box), box.source()
    kinds = ("BOOKING", "PAYMENT", "TICKET")
    events = [event(f"K-{n}", kinds[n % 3]) for n in range(60)]
    add(box, *events)
    both = source.read(request(held, only_types=("BOOKING", "PAYMENT"), paused_types=frozenset({"PAYMENT", "X"})))
    assert {e.aggregate_type for e in both} == {"BOOKING"}
    assert len(both) == 20
    half = {e.aggregate_id for e in source.read(request(held, percentage=50))}
    assert half == {e.aggregate_id for e in events if rollout_bucket(e.aggregate_id) < 50}
    assert 0 < len(half) < 60
    assert source.read(request(held, percentage=0)) == []


def test_the_floor_is_a_lower_bound(seq_box: Box) -> None:
    held, source = own_all(seq_box), seq_box.source()
    add(seq_box, *(event("A") for _ in range(4)))
    events = source.read(request(held))
    assert read_ids(source, held, floor=events[1].seq) == [e.id for e in events[2:]]


def test_a_batch_is_remembered_until_it_is_settled(box: Box) -> None:
    held, source = own_all(box), box.source()
    add(box, *(event(f"B-{n}") for n in range(9)))
    events = source.read(request(held))
    assert source.begin(uuid4(), frozenset(held), events) == frozenset()
    by_shard = defaultdict(list)
    for one in events:
        by_shard[one.shard].append(one.id)
    assert box.batches() == {shard: tuple(ids) for shard, ids in by_shard.items()}
    settlement = Settlement(leases_of(held, *events), tuple(e.id for e in events))
    assert source.settle(settlement) == frozenset()
    assert box.batches() == {}
    assert source.read(request(held)) == []
    assert source.settle(settlement) == frozenset()
    for one in events:
        kept = box.row(one.id)
        assert kept is None if not box.has_status else kept is not None and kept.status == "PUBLISHED"


def test_published_rows_can_be_deleted(box: Box) -> None:
    held, source = own_all(box), box.source(delete=True)
    gone, kept = add(box, event("A"), event("A"))
    events = source.read(request(held))
    source.settle(Settlement(leases_of(held, *events), (gone,)))
    assert box.row(gone) is None
    assert box.row(kept) is not None
    source.settle(Settlement(leases_of(held, *events), (gone,)))


def test_stale_epochs_write_nothing(box: Box) -> None:
    held, source = own_all(box), box.source()
    ids = add(box, *(event(f"B-{n}") for n in range(8)))
    events = source.read(request(held))
    stolen = events[0].shard
    box.expire()
    other = relay("relay-2")
    leases = box.leases()
    leases.join(other, TTL)
    leases.acquire(other, stolen + 1, TTL)
    with pytest.raises(LeaseLost):
        source.begin(uuid4(), frozenset(held), events)
    assert box.batches() == {}
    failed = (Failed(events[0], FailureState.DEAD, 1, None, "no"),)
    with pytest.raises(LeaseLost):
        source.settle(Settlement(leases_of(held, *events), tuple(ids[1:]), failed=failed))
    assert {row.status for row in map(box.row, ids) if row} == {"PENDING"}
    assert box.failures() == {}


def test_failures_are_written_as_the_table_allows(box: Box) -> None:
    held, source = own_all(box), box.source()
    retrying, blocked, dead, parked = add(box, *(event(f"B-{n}") for n in range(4)))
    events = {e.id: e for e in source.read(request(held))}
    fail(source, held, events[retrying], FailureState.RETRYING, 60.0)
    fail(source, held, events[blocked], FailureState.BLOCKED)
    fail(source, held, events[dead], FailureState.DEAD)
    fail(source, held, events[parked], FailureState.PARKED)
    states = [FailureState.RETRYING, FailureState.BLOCKED, FailureState.DEAD, FailureState.PARKED]
    assert box.failures() == dict(zip((retrying, blocked, dead, parked), ((s, 1) for s in states), strict=True))
    assert read_ids(source, held) == []
    if box.has_status:
        rows = [box.row(i) for i in (retrying, blocked, dead, parked)]
        assert [row.status for row in rows if row] == ["PENDING", "PENDING", "FAILED", "FAILED"]
        assert all(row.last_error for row in rows if row)


def test_a_recovered_event_leaves_no_failure(box: Box) -> None:
    held, source = own_all(box), box.source()
    (event_id,) = add(box, event("A"))
    (one,) = source.read(request(held))
    fail(source, held, one, FailureState.RETRYING, 0.0)
    box.make_due()
    (again,) = source.read(request(held))
    assert again.attempts == 1
    fail(source, held, again, FailureState.RETRYING, 0.0)
    assert box.failures() == {event_id: (FailureState.RETRYING, 2)}
    source.settle(Settlement(leases_of(held, one), (event_id,), recovered=(event_id,)))
    assert box.failures() == {}


def test_locked_rows_are_answered_and_marked_later(box: Box) -> None:
    held, source = own_all(box), box.source()
    locked, free = add(box, event("A"), event("B"))
    events = source.read(request(held))
    leases = leases_of(held, *events)
    with box.locking(locked):
        assert source.settle(Settlement(leases, (locked, free))) == frozenset({locked})
        assert source.settle(Settlement(leases, (locked,), patient=False)) == frozenset({locked})
        assert read_ids(source, held) == [locked]
    assert source.settle(Settlement(leases, (locked,), patient=False)) == frozenset()
    assert read_ids(source, held) == []


def test_a_row_that_is_gone_is_not_waited_for(box: Box) -> None:
    held, source = own_all(box), box.source()
    add(box, event("A"))
    (one,) = source.read(request(held))
    assert source.settle(Settlement(leases_of(held, one), (uuid4().bytes, one.id))) == frozenset()


def test_a_failure_of_a_locked_row_is_kept_for_later(box: Box) -> None:
    held, source = own_all(box), box.source()
    add(box, event("A"), event("B"), event("C"))
    first, second, third = sorted(source.read(request(held)), key=lambda e: e.aggregate_id)
    failed = (
        Failed(first, FailureState.RETRYING, 1, 60.0, "no"),
        Failed(second, FailureState.DEAD, 5, None, "no"),
    )
    with box.locking(first.id, second.id):
        source.settle(Settlement(leases_of(held, first, second, third), (third.id,), failed=failed))
        assert read_ids(source, held) == []
        states = box.failures()
        assert states[first.id] == (FailureState.RETRYING, 1)
        assert states[second.id][0] in {FailureState.RETRYING, FailureState.DEAD}
    box.make_due()
    again = [e for e in source.read(request(held)) if e.id == second.id]
    if box.has_status:
        assert [e.attempts for e in again] == [4]


def test_taken_rows_are_answered_beside_another_processor(plain_box: Box) -> None:
    held, source = own_all(plain_box), plain_box.source(skip_locked=True)
    locked, published, free = add(plain_box, event("A"), event("B"), event("C"))
    events = source.read(request(held))
    plain_box.change(published, Status.PUBLISHED)
    with plain_box.locking(locked):
        assert source.begin(uuid4(), frozenset(held), events) == frozenset({locked, published})
    assert source.begin(uuid4(), frozenset(held), [e for e in events if e.id == free]) == frozenset()


def test_one_event_is_found(box: Box) -> None:
    held, source = own_all(box), box.source()
    event_id, _ = add(box, event("A"), event("B"))
    one = next(e for e in source.read(request(held)) if e.id == event_id)
    (lease,) = leases_of(held, one)
    found = source.find(lease, event_id)
    assert found is not None
    assert replace_age(found) == replace_age(one)
    assert source.find(Lease((lease.shard + 1) % box.shards, 1), event_id) is None
    assert source.find(lease, uuid4().bytes) is None
    source.settle(Settlement(frozenset({lease}), (event_id,)))
    assert source.find(lease, event_id) is None


def replace_age(one: PendingEvent) -> PendingEvent:
    return one._replace(age=0.0)


def test_a_dead_letter_is_not_found(box: Box) -> None:
    held, source = own_all(box), box.source()
    (event_id,) = add(box, event("A"))
    (one,) = source.read(request(held))
    fail(source, held, one, FailureState.DEAD)
    assert source.find(next(iter(leases_of(held, one))), event_id) is None


def test_closing_may_be_repeated(box: Box) -> None:
    source = box.source()
    source.check()
    source.close()
    source.close()
    assert source.read(request(own_all(box))) == []


ROWS = st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from(["", "done", "blocked", "due"])), max_size=25)


def check_reads(box: Box, rows: list[tuple[str, str]], limit: int, room: int) -> None:
    held, source = own_all(box), box.source()
    written = add(box, *(event(key, payload={"x": "y" * 20}) for key, _ in rows))
    known = {e.id: e for e in source.read(request(held))}
    for (_, what), event_id in zip(rows, written, strict=True):
        if what == "done":
            box.change(event_id, Status.PUBLISHED)
        elif what:
            state = FailureState.BLOCKED if what == "blocked" else FailureState.RETRYING
            fail(source, held, known[event_id], state, 0.0)
    box.make_due()
    stopped = {key for key, what in rows if what == "blocked"}
    wanted = [(key, i) for (key, what), i in zip(rows, written, strict=True) if what != "done" and key not in stopped]
    events = source.read(request(held, limit=limit, per_shard=limit, max_bytes=room))
    assert_runs(events, [i for _, i in wanted], [key for key, _ in wanted])
    assert not {e.aggregate_id for e in events} & stopped
    assert bool(events) == bool(wanted)
    for one, following in pairwise(events):
        assert one.shard != following.shard or (one.seq or 0) < (following.seq or 0)


@given(rows=ROWS, limit=st.integers(1, 30), room=st.integers(1, 400))
@settings(max_examples=100)
def test_reads_are_gapless_in_memory(rows: list[tuple[str, str]], limit: int, room: int) -> None:
    check_reads(MemoryBox(), rows, limit, room)


@given(rows=ROWS, limit=st.integers(1, 30), room=st.integers(1, 400))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_reads_are_gapless_in_postgres(
    shared_box: PostgresBox, rows: list[tuple[str, str]], limit: int, room: int
) -> None:
    shared_box.empty()
    check_reads(shared_box, rows, limit, room)


def test_what_is_missing_is_named(make_box: Any) -> None:
    box = make_box(Shape(columns=OutboxColumns(retry_count="tries")))
    box.sql(f"alter table {box.table} drop column tries")
    with pytest.raises(SchemaError, match="no column tries"):
        box.source().check()
    box.sql(f"drop table {box.table}")
    with pytest.raises(SchemaError, match=f"no table {box.table}"):
        box.source().check()


def test_a_missing_right_is_named(pg_box: PostgresBox) -> None:
    role = f"reader_{uuid4().hex[:8]}"
    pg_box.sql(f"create role {role}")
    pg_box.sql(f"grant usage on schema booking, ticketops to {role}")
    pg_box.sql(f"grant select on {pg_box.table} to {role}")
    url = psycopg.conninfo.make_conninfo(pg_box.postgres.url, options=f"-c role={role}")
    pg_box.postgres = replace(pg_box.postgres, url=url)
    try:
        with pytest.raises(DeniedError, match=f"may not UPDATE on {pg_box.table}"):
            pg_box.source().check()
    finally:
        pg_box.sql(f"drop owned by {role}")
        pg_box.sql(f"drop role {role}")


def set_for_database(box: PostgresBox, setting: str) -> None:
    box.sql(f"alter database {box.postgres.url.rpartition('/')[2]} set {setting}")


def test_times_without_a_zone_are_the_sessions(lone_box: PostgresBox) -> None:
    lone_box.sql(f"alter table {lone_box.table} alter column created_at type timestamp")
    set_for_database(lone_box, "timezone to 'Asia/Kathmandu'")
    held, source = own_all(lone_box), lone_box.source()
    add(lone_box, event("A"))
    lone_box.sql(f"update {lone_box.table} set created_at = '2026-11-23 10:10:54.25'")
    (one,) = source.read(request(held))
    assert one.created_at == "2026-11-23T04:25:54.25Z"
    lone_box.sql(f"update {lone_box.table} set created_at = clock_timestamp() at time zone 'Asia/Kathmandu'")
    (one,) = source.read(request(held))
    assert -1 <= one.age < 60


@pytest.mark.parametrize("style", ["SQL, DMY", "German"])
def test_a_date_style_of_the_database_does_not_matter(lone_box: PostgresBox, style: str) -> None:
    set_for_database(lone_box, f"datestyle to '{style}'")
    held, source = own_all(lone_box), lone_box.source()
    add(lone_box, event("A"))
    lone_box.sql(f"update {lone_box.table} set created_at = '2026-11-23T10:10:54.25Z'")
    (one,) = source.read(request(held))
    assert one.created_at == "2026-11-23T10:10:54.25Z"


def test_a_null_payload_is_read_as_none(make_box: Any) -> None:
    box = make_box("postgres")
    held, source = own_all(box), box.source()
    add(box, event("A"))
    box.sql(f"update {box.table} set payload = null")
    assert [e.payload for e in source.read(request(held))] == [None]


def test_bytes_are_read_as_they_are(make_box: Any) -> None:
    box = make_box("postgres-bytea")
    held, source = own_all(box), box.source()
    add(box, event("A"))
    raw = bytes(range(256))
    box.sql(f"update {box.table} set payload = %s", raw)
    assert [e.payload for e in source.read(request(held))] == [raw]


def test_reads_beside_writers_see_no_event_without_its_predecessors(pg_box: PostgresBox) -> None:
    held, source = own_all(pg_box), pg_box.source()
    done = Event()

    def write() -> None:
        try:
            with psycopg.connect(pg_box.postgres.url) as connection:
                writer = PostgresWriter(pg_box, connection)
                for number in range(300):
                    writer.add(event(f"B-{number % 3}", payload={"n": number // 3}))
                    connection.commit()
        finally:
            done.set()

    thread = Thread(target=write)
    thread.start()
    try:
        looks, last = 0, []
        while not done.is_set() or looks < 2:
            last = source.read(request(held, limit=1000))
            looks += 1
            runs: dict[str, list[int]] = defaultdict(list)
            for one in last:
                runs[one.aggregate_id].append(json.loads(one.payload or b"")["n"])
            assert all(run == list(range(len(run))) for run in runs.values())
    finally:
        thread.join(30)
    assert len(source.read(request(held))) == 300

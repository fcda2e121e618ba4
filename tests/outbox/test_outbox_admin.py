"""The port OutboxAdmin and the verbs over it, on a real database."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from support.waiting import eventually
from ticketops import outbox
from ticketops.backends.postgres.admin import PostgresOutboxAdmin
from ticketops.backends.postgres.upgrade import PostgresSchema
from ticketops.domain.changes import Action, ChangeResult, Left
from ticketops.domain.database import UpgradeRequest
from ticketops.domain.outbox import FailureState, Status
from ticketops.domain.relay import Delivery, OutgoingRecord
from ticketops.domain.selectors import Selector, TimeOf
from ticketops.errors import (
    BackendUnavailable,
    DeniedError,
    NotFoundError,
    PublisherBroken,
    RefusedError,
    SchemaError,
    UsageError,
)
from ticketops.options import OutboxColumns, OutboxOptions, PostgresOptions, RelayOptions
from ticketops.outbox import OutboxEvent
from ticketops.services.guard import Access
from ticketops.services.outbox_admin import OutboxDesk, Who
from ticketops.services.outbox_replay import Replay, ReplayOptions, after

SCOPE = "booking.outbox_events"
ME = Who("tester@here", "because")
WRITABLE = Access("default", read_only=False)


class Box:
    """One outbox with its desk."""

    def __init__(self, postgres: PostgresOptions, options: OutboxOptions, access: Access = WRITABLE) -> None:
        self.postgres = postgres
        self.options = options
        self.scope = f"{postgres.schema}.{options.table}"
        self.admin = PostgresOutboxAdmin(postgres, options, RelayOptions())
        self.desk = OutboxDesk(self.admin, access, options)

    def add(self, *keys: str, kind: str = "BOOKING") -> list[UUID]:
        events = [OutboxEvent(kind, key, "BOOKING_CREATED", {"n": n}) for n, key in enumerate(keys)]
        with psycopg.connect(self.postgres.url) as connection:
            outbox.add(connection, *events, options=self.options)
        return [event.id for event in events]

    def sql(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.url) as connection:
            cursor = connection.execute(text.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def fail(self, event_id: UUID, state: FailureState, error: str = "Boom: no such thing") -> None:
        """As the relay settles a failure."""
        final = state in {FailureState.DEAD, FailureState.PARKED}
        retry_at = "now() + interval '1 hour'" if state is FailureState.RETRYING else "null"
        names = self.options.columns
        self.sql(
            "insert into ticketops.outbox_failures (scope, event_id, aggregate_type, aggregate_id, state, attempts, "
            f"retry_at, error) select %s, id, {names.aggregate_type}, {names.aggregate_id}, %s, %s, {retry_at}, %s "
            f"from booking.{self.options.table} where id = %s",
            self.scope, state.value, 5 if final else 2, error, event_id,
        )  # fmt: skip
        if names.status:
            self.sql(
                f"update booking.{self.options.table} set status = %s, retry_count = %s, last_error = %s where id = %s",
                "FAILED" if final else "PENDING", 5 if final else 2, error, event_id,
            )  # fmt: skip

    def publish(self, *ids: UUID, ago: str = "0 s") -> None:
        self.sql(
            "update booking.outbox_events set status = 'PUBLISHED', published_at = now() - %s::interval "
            "where id = any(%s)",
            ago, list(ids),
        )  # fmt: skip

    def take_off(self, *ids: UUID) -> None:
        """As a relay that has a batch in flight."""
        self.sql(
            "insert into ticketops.leases (scope, slot, owner, expires_at) values (%s, 0, 'r', now() + interval '1 h')",
            self.scope,
        )
        self.sql(
            "insert into ticketops.relay_batches (scope, shard, batch_id, event_ids, inflight_since) "
            "values (%s, 0, %s, %s, now())",
            self.scope, uuid4(), list(ids),
        )  # fmt: skip

    def row(self, event_id: UUID) -> tuple[Any, ...]:
        query = "select status, retry_count, last_error from booking.outbox_events where id = %s"
        return self.sql(query, event_id)[0]

    def failures(self) -> dict[UUID, str]:
        return {row[0]: row[1] for row in self.sql("select event_id, state from ticketops.outbox_failures")}

    def generation(self) -> int:
        rows = self.sql("select generation from ticketops.outbox_changes where scope = %s", self.scope)
        return rows[0][0] if rows else 0

    def change(self, action: Action, selector: Selector) -> ChangeResult:
        return self.desk.apply(self.desk.plan(action, selector), ME, lambda _done, _total: None)

    def ids(self, selector: Selector) -> list[UUID]:
        return [row.id for row in self.admin.rows(selector)]


@pytest.fixture
def box(database: PostgresOptions) -> Iterator[Box]:
    made = Box(database, OutboxOptions())
    with closing(made.admin):
        yield made


@pytest.fixture
def debezium(empty_database: PostgresOptions) -> Iterator[Box]:
    names = OutboxColumns(
        aggregate_type="aggregatetype", aggregate_id="aggregateid", event_type="type", status="", created_at="",
        published_at="", retry_count="", last_error="",
    )  # fmt: skip
    options = OutboxOptions(table="outboxevent", columns=names)
    PostgresSchema(empty_database, options, RelayOptions()).apply(
        UpgradeRequest(), actor="tests", progress=lambda _: None
    )
    made = Box(empty_database, options)
    with closing(made.admin):
        yield made


def chosen(*ids: UUID) -> Selector:
    return Selector(ids=ids)


def test_a_dead_letter_is_retried_in_its_place(box: Box) -> None:
    first, second = box.add("B-1", "B-1")
    box.fail(first, FailureState.DEAD)
    result = box.change(Action.RETRY, Selector(dead=True))
    assert (result.changed, result.left) == (1, {})
    assert box.row(first) == ("PENDING", 0, None)
    assert box.failures() == {}
    assert box.ids(Selector(statuses=frozenset({Status.PENDING}))) == [first, second]
    assert box.generation() == 1


def test_every_change_is_in_the_audit_log(box: Box) -> None:
    (event_id, published) = box.add("B-1", "B-2")
    box.fail(event_id, FailureState.DEAD)
    box.publish(published)
    result = box.change(Action.RETRY, chosen(event_id, published))
    rows = box.sql(
        "select actor, action, target, reason, result, details from ticketops.audit order by id desc limit 1"
    )
    details = {
        "operation": str(result.operation),
        "selector": {"ids": 2},
        "changed": 1,
        "left": {"published": 1},
    }
    assert rows == [("tester@here", "outbox retry", SCOPE, "because", "partly", details)]


def test_a_held_back_event_is_due_at_once(box: Box) -> None:
    retrying, blocked, waiting = box.add("B-1", "B-2", "B-3")
    box.fail(retrying, FailureState.RETRYING)
    box.fail(blocked, FailureState.BLOCKED)
    result = box.change(Action.RETRY, chosen(retrying, blocked, waiting))
    assert (result.changed, result.left) == (2, {Left.WAITING: 1})
    assert box.failures() == {retrying: "retrying"}
    assert box.sql("select retry_at <= clock_timestamp(), attempts from ticketops.outbox_failures") == [(True, 2)]
    assert box.row(blocked) == ("PENDING", 0, None)


def test_a_parked_event_takes_its_parked_aggregate_along(box: Box) -> None:
    head, tail, other, dead = box.add("B-1", "B-1", "B-2", "B-1")
    for event_id in (head, tail, other):
        box.fail(event_id, FailureState.PARKED)
    box.fail(dead, FailureState.DEAD)
    plan = box.desk.plan(Action.RETRY, chosen(tail))
    assert [UUID(bytes=i) for i in plan.ids] == [head, tail]
    assert any("1 are parked events of the same aggregates" in line for line in plan.lines)
    box.desk.apply(plan, ME, lambda _done, _total: None)
    assert box.failures() == {other: "parked", dead: "dead"}


def test_a_skipped_event_is_a_dead_letter_and_says_who(box: Box) -> None:
    waiting, blocked, dead, parked, published = box.add(*(f"B-{n}" for n in range(5)))
    box.fail(blocked, FailureState.BLOCKED)
    box.fail(dead, FailureState.DEAD)
    box.fail(parked, FailureState.PARKED)
    box.publish(published)
    result = box.change(Action.SKIP, Selector(everything=True))
    assert (result.changed, result.left) == (3, {Left.DEAD: 1})
    for event_id in (waiting, blocked, parked):
        assert box.row(event_id) == ("FAILED", 5, "skipped by tester@here: because")
        assert box.failures()[event_id] == "dead"
    assert set(box.ids(Selector(dead=True))) == {waiting, blocked, dead, parked}


def test_what_is_in_flight_is_left_alone(box: Box) -> None:
    flying, waiting = box.add("B-1", "B-2")
    box.take_off(flying)
    result = box.change(Action.SKIP, chosen(flying, waiting))
    assert (result.changed, result.left, result.examples) == (1, {Left.IN_FLIGHT: 1}, ((flying, Left.IN_FLIGHT),))
    assert box.row(flying)[0] == "PENDING"


@pytest.mark.parametrize("owner", ["owner = null, expires_at = null", "expires_at = now() - interval '1 s'"])
def test_what_a_dead_relay_left_unfinished_may_be_changed(box: Box, owner: str) -> None:
    killer, waiting = box.add("B-1", "B-2")
    box.take_off(killer)
    box.sql(f"update ticketops.leases set {owner}")
    assert box.change(Action.SKIP, chosen(killer, waiting)).changed == 2
    assert box.row(killer)[0] == "FAILED"


def test_a_reason_longer_than_its_column_is_cut(box: Box) -> None:
    (waiting,) = box.add("B-1")
    box.sql("alter table booking.outbox_events alter column last_error type varchar(10)")
    assert box.change(Action.SKIP, chosen(waiting)).changed == 1
    assert box.row(waiting) == ("FAILED", 5, "skipped by")
    assert box.sql("select error from ticketops.outbox_failures") == [("skipped by tester@here: because",)]


def test_infinite_times_are_shown_as_none(box: Box) -> None:
    endless, _ = box.add("B-1", "B-2")
    box.sql("update booking.outbox_events set created_at = '-infinity' where id = %s", endless)
    assert [row.created_at is None for row in box.admin.rows(Selector(everything=True))].count(True) == 1
    assert box.admin.show(endless).event.created_at is None
    assert box.admin.stats(60.0).groups[0].count == 2


def test_what_is_locked_or_gone_is_left_alone(box: Box) -> None:
    locked, gone, waiting = box.add("B-1", "B-2", "B-3")
    plan = box.desk.plan(Action.SKIP, chosen(locked, gone, waiting))
    box.sql("delete from booking.outbox_events where id = %s", gone)
    with psycopg.connect(box.postgres.url) as other:
        other.execute("select 1 from booking.outbox_events where id = %s for update", [locked])
        result = box.desk.apply(plan, ME, lambda _done, _total: None)
    assert (result.changed, result.left) == (1, {Left.LOCKED: 1, Left.GONE: 1})


def test_many_are_changed_in_batches(box: Box) -> None:
    ids = box.add(*(f"B-{n % 7}" for n in range(1201)))
    told: list[tuple[int, int]] = []
    plan = box.desk.plan(Action.SKIP, Selector(aggregate_type="BOOKING"))
    result = box.desk.apply(plan, ME, lambda done, total: told.append((done, total)))
    assert result.changed == len(ids)
    assert told == [(500, 1201), (1000, 1201), (1201, 1201)]
    assert box.generation() == 3
    assert box.sql("select (details ->> 'changed')::int from ticketops.audit order by id desc limit 1") == [(1201,)]


def test_an_interrupted_change_says_how_far_it_came(box: Box) -> None:
    box.add(*("B-1" for _ in range(600)))
    plan = box.desk.plan(Action.SKIP, Selector(everything=True))

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        box.desk.apply(plan, ME, interrupt)
    audit = "select result, (details ->> 'changed')::int from ticketops.audit order by id desc limit 1"
    assert box.sql(audit) == [("interrupted", 500)]


def test_a_change_without_a_selector_is_refused(box: Box) -> None:
    for action in (Action.RETRY, Action.SKIP, Action.REPLAY):
        with pytest.raises(RefusedError, match="which events"):
            box.desk.plan(action, Selector(limit=3))


def test_an_id_that_is_not_there_stops_the_change(box: Box) -> None:
    (event_id,) = box.add("B-1")
    missing = uuid4()
    with pytest.raises(NotFoundError, match="1 of 2 events") as caught:
        box.desk.plan(Action.SKIP, chosen(event_id, missing))
    assert str(missing) in caught.value.why


def test_a_read_only_context_is_denied_by_the_service(box: Box, database: PostgresOptions) -> None:
    box.add("B-1")
    guarded = Box(database, OutboxOptions(), Access("prod", read_only=True))
    with closing(guarded.admin):
        plan = guarded.desk.plan(Action.SKIP, Selector(everything=True))
        with pytest.raises(DeniedError, match="prod"):
            guarded.desk.apply(plan, ME, lambda _done, _total: None)
    assert box.sql("select count(*) from ticketops.audit where action <> 'db upgrade'") == [(0,)]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (Selector(key="B-1"), {0, 3}),
        (Selector(aggregate_type="PAYMENT"), {3}),
        (Selector(event_type="BOOKING_CREATED", limit=2), {0, 1}),
        (Selector(statuses=frozenset({Status.FAILED, Status.PUBLISHED})), {1, 2}),
        (Selector(dead=True), {1}),
        (Selector(state=FailureState.RETRYING), {0}),
        (Selector(match="NO SUCH"), {0, 1}),
        (Selector(match="100%"), set()),
        (Selector(since=datetime(2100, 1, 1, tzinfo=UTC)), set()),
        (Selector(until=datetime(2100, 1, 1, tzinfo=UTC)), {0, 1, 2, 3}),
        (Selector(since=datetime(2020, 1, 1, tzinfo=UTC), time_of=TimeOf.PUBLISHED), {2}),
        (Selector(everything=True), {0, 1, 2, 3}),
    ],
)
def test_each_condition_selects(box: Box, selector: Selector, expected: set[int]) -> None:
    ids = [*box.add("B-1", "B-2", "B-3"), *box.add("B-1", kind="PAYMENT")]
    box.fail(ids[0], FailureState.RETRYING)
    box.fail(ids[1], FailureState.DEAD)
    box.publish(ids[2])
    assert {ids.index(event_id) for event_id in box.ids(selector)} == expected
    assert box.admin.summarize(selector).count == len(expected)
    assert {UUID(bytes=i) for i in box.admin.select(selector)} == {ids[n] for n in expected}


def test_a_summary_tells_ages_and_reasons(box: Box) -> None:
    ids = box.add("B-1", "B-2", "B-3")
    box.fail(ids[0], FailureState.DEAD, "504\nat line 1")
    box.fail(ids[1], FailureState.DEAD, "504\nat line 2")
    summary = box.admin.summarize(Selector(everything=True))
    assert summary.by_status == {"FAILED": 2, "PENDING": 1}
    assert summary.by_type == {"BOOKING": 3}
    assert summary.reasons == (("504", 2),)
    assert summary.oldest is not None
    assert summary.newest is not None
    assert summary.oldest <= summary.newest


def test_show_tells_the_place_in_the_queue_and_the_record(box: Box) -> None:
    first, second, third = box.add("B-1", "B-1", "B-1")
    box.fail(first, FailureState.RETRYING)
    box.publish(second)
    detail = box.desk.show(third)
    assert detail.before == 1
    assert detail.topic == "booking-events"
    assert dict(detail.headers)["ticketops-event-id"] == str(third)
    assert dict(detail.headers)["ticketops-created-at"].endswith("Z")
    assert detail.event.payload == '{"n": 2}'
    failed = box.desk.show(first)
    assert (failed.before, failed.attempts, failed.error) == (0, 2, "Boom: no such thing")
    with pytest.raises(NotFoundError):
        box.desk.show(uuid4())


def test_stats_count_and_rate(box: Box) -> None:
    ids = [*box.add(*("B-1" for _ in range(6))), *box.add("P-1", kind="PAYMENT")]
    box.publish(*ids[:3], ago="10 s")
    box.publish(ids[3], ago="2 hours")
    box.fail(ids[4], FailureState.RETRYING)
    box.fail(ids[5], FailureState.DEAD)
    stats = box.admin.stats(60.0)
    assert {(g.status, g.aggregate_type): g.count for g in stats.groups} == {
        ("PUBLISHED", "BOOKING"): 4,
        ("PENDING", "BOOKING"): 1,
        ("FAILED", "BOOKING"): 1,
        ("PENDING", "PAYMENT"): 1,
    }
    assert (stats.pending, stats.held_back, stats.dead) == (2, 1, 1)
    assert (stats.rate_in, stats.rate_out) == (7 / 60, 3 / 60)
    assert stats.drain_seconds is None
    assert stats.oldest_pending is not None


def test_a_backlog_that_shrinks_has_a_time_to_drain(box: Box) -> None:
    ids = box.add(*("B-1" for _ in range(10)))
    box.sql("update booking.outbox_events set created_at = now() - interval '1 day'")
    box.publish(*ids[:6])
    assert box.admin.stats(60.0).drain_seconds == pytest.approx(4 / (6 / 60))


def test_cleanup_deletes_what_is_older_than_retention(box: Box) -> None:
    old, flying, recent, pending = box.add("B-1", "B-2", "B-3", "B-4")
    box.publish(old, flying, ago="8 days")
    box.publish(recent, ago="6 days")
    box.take_off(flying)
    result = box.change(Action.CLEANUP, Selector())
    assert result.changed == 1
    assert set(box.ids(Selector(everything=True))) == {flying, recent, pending}
    until = datetime.now(UTC) - timedelta(days=1)
    assert box.change(Action.CLEANUP, Selector(until=until, key="B-3")).changed == 1
    assert set(box.ids(Selector(everything=True))) == {flying, pending}


def test_cleanup_is_bounded_by_its_limit(box: Box) -> None:
    ids = box.add(*("B-1" for _ in range(30)))
    box.publish(*ids, ago="8 days")
    assert box.change(Action.CLEANUP, Selector(limit=12)).changed == 12
    assert len(box.ids(Selector(everything=True))) == 18


def test_cleanup_without_retention_wants_an_age(database: PostgresOptions) -> None:
    kept = Box(database, OutboxOptions(retention_days=0))
    with closing(kept.admin), pytest.raises(UsageError, match="what is old"):
        kept.desk.plan(Action.CLEANUP, Selector())


def test_cleanup_of_what_is_not_published_is_refused(box: Box) -> None:
    with pytest.raises(UsageError, match="only PUBLISHED"):
        box.desk.plan(Action.CLEANUP, Selector(dead=True))


class Wire:
    """A publisher that keeps what it is given; `script` says what becomes of each batch, else all is acknowledged."""

    def __init__(self, *script: Delivery | Exception | None) -> None:
        self.sent: list[OutgoingRecord] = []
        self._script = list(script)
        self._batch: Sequence[OutgoingRecord] = ()
        self.abandoned = 0

    def topics(self) -> frozenset[str]:
        return frozenset({"booking-events"})

    def refuse(self, record: OutgoingRecord) -> str | None:
        return "too large" if record.key == b"huge" else None

    def start(self, records: Sequence[OutgoingRecord]) -> None:
        self._batch = records

    def finish(self, timeout: float) -> Delivery | None:
        assert timeout > 0
        step = self._script.pop(0) if self._script else Delivery()
        if isinstance(step, Exception):
            raise step
        if step is not None:
            kept = (r for n, r in enumerate(self._batch) if n not in step.unsent and n not in step.refused)
            self.sent.extend(kept)
        return step

    def abandon(self) -> None:
        self.abandoned += 1

    def close(self) -> None:
        pass

    def keys(self) -> list[bytes]:
        return [record.key for record in self.sent]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def replay(
    box: Box, wire: Wire, selector: Selector, *, rate: float | None = None, patience: float = 60.0
) -> tuple[ChangeResult, Clock]:
    clock = Clock()
    options = ReplayOptions(rate=rate, patience=patience, clock=clock, sleep=clock.sleep)
    run = Replay(box.admin, wire, box.options, options)
    plan = box.desk.plan(Action.REPLAY, selector)
    return run.run(plan, ME, lambda _done, _total: None), clock


def test_a_replay_sends_the_relays_records_in_order_and_says_so(box: Box) -> None:
    ids = box.add("B-1", "B-2", "B-1")
    box.publish(*reversed(ids))
    box.sql("update booking.outbox_events set created_at = '2026-11-23T10:10:54.947711Z'")
    before = box.sql("select * from booking.outbox_events order by id")
    wire = Wire()
    result, _ = replay(box, wire, Selector(everything=True))
    assert (result.changed, result.left) == (3, {})
    assert [(r.topic, r.key, r.value) for r in wire.sent] == [
        ("booking-events", b"B-1", b'{"n": 0}'),
        ("booking-events", b"B-2", b'{"n": 1}'),
        ("booking-events", b"B-1", b'{"n": 2}'),
    ]
    headers = dict(wire.sent[0].headers or ())
    assert headers["ticketops-replay"] == str(result.operation).encode()
    assert headers["ticketops-event-id"] == str(ids[0]).encode()
    assert headers["ticketops-created-at"] == b"2026-11-23T10:10:54.947711Z"
    assert box.sql("select * from booking.outbox_events order by id") == before
    assert box.generation() == 0


def test_only_published_events_are_replayed(box: Box) -> None:
    ids = box.add("B-1", "B-2")
    box.publish(ids[0])
    wire = Wire()
    replay(box, wire, Selector(aggregate_type="BOOKING"))
    assert wire.keys() == [b"B-1"]


def test_a_replay_leaves_what_kafka_cannot_take(box: Box) -> None:
    ids = [*box.add("B-1", "huge", "B-2"), *box.add("X", kind="UNKNOWN")]
    box.publish(*ids)
    wire = Wire()
    result, _ = replay(box, wire, Selector(everything=True))
    assert (result.changed, result.left) == (2, {Left.REFUSED: 1, Left.NO_TOPIC: 1})
    assert wire.keys() == [b"B-1", b"B-2"]


def test_a_replay_sends_again_what_was_not_acknowledged(box: Box) -> None:
    ids = box.add("B-1", "B-2", "B-3")
    box.publish(*ids)
    wire = Wire(Delivery(unsent=frozenset({1, 2}), reason="no broker"), PublisherBroken("broken"), None)
    result, _ = replay(box, wire, Selector(everything=True))
    assert result.changed == 3
    assert wire.keys() == [b"B-1", b"B-2", b"B-3"]


def test_a_replay_gives_up_and_can_go_on(box: Box) -> None:
    ids = box.add(*(f"B-{n}" for n in range(600)))
    box.publish(*ids)
    outage = Delivery(unsent=frozenset(range(100)), reason="no broker")
    clock = Clock()
    wire = Wire(Delivery(), *([outage] * 3))
    run = Replay(box.admin, wire, box.options, ReplayOptions(patience=0.002, clock=clock, sleep=clock.sleep))
    plan = box.desk.plan(Action.REPLAY, Selector(everything=True))
    with pytest.raises(BackendUnavailable, match="no broker"):
        run.run(plan, ME, lambda _done, _total: None)
    assert run.last == ids[499]
    audit = "select result, (details ->> 'changed')::int from ticketops.audit order by id desc limit 1"
    assert box.sql(audit) == [(f"interrupted after {ids[499]}", 500)]
    rest = after(box.desk.plan(Action.REPLAY, Selector(everything=True)), run.last)
    assert [UUID(bytes=i) for i in rest.ids] == ids[500:]
    with pytest.raises(NotFoundError, match="not among"):
        after(rest, uuid4())


def test_a_replay_keeps_its_rate(box: Box) -> None:
    ids = box.add(*(f"B-{n}" for n in range(50)))
    box.publish(*ids)
    _, clock = replay(box, Wire(), Selector(everything=True), rate=10.0)
    assert clock.now == pytest.approx(5.0, abs=0.2)


def test_an_outbox_without_a_status_is_served(debezium: Box) -> None:
    first, second, third = debezium.add("B-1", "B-1", "B-2")
    debezium.fail(first, FailureState.DEAD)
    assert debezium.ids(Selector(dead=True)) == [first]
    assert debezium.ids(Selector(statuses=frozenset({Status.PENDING}))) == [second, third]
    stats = debezium.admin.stats(60.0)
    assert (stats.pending, stats.dead, stats.rate_in) == (2, 1, 0.0)
    assert debezium.change(Action.SKIP, chosen(third)).changed == 1
    assert debezium.failures() == {first: "dead", third: "dead"}
    assert debezium.change(Action.RETRY, chosen(first)).changed == 1
    assert debezium.failures() == {third: "dead"}
    assert debezium.desk.show(second).before == 1
    with pytest.raises(UsageError, match="deleted, not kept"):
        debezium.desk.plan(Action.REPLAY, Selector(everything=True))
    with pytest.raises(UsageError, match="by time"):
        debezium.ids(Selector(since=datetime(2020, 1, 1, tzinfo=UTC)))


def test_a_missing_table_is_a_clear_error(empty_database: PostgresOptions) -> None:
    box = Box(empty_database, OutboxOptions())
    with closing(box.admin), pytest.raises(SchemaError, match=r"booking\.outbox_events"):
        box.admin.stats(60.0)


def test_a_missing_own_schema_is_a_clear_error(database: PostgresOptions) -> None:
    box = Box(replace(database, own_schema="elsewhere"), OutboxOptions())
    with closing(box.admin), pytest.raises(SchemaError):
        box.admin.stats(60.0)


def test_a_reader_may_take_its_time_and_a_query_may_not(database: PostgresOptions) -> None:
    box = Box(replace(database, answer_timeout=1.0), OutboxOptions())
    ids = box.add(*("B-1" for _ in range(5000)))
    with closing(box.admin):
        rows = box.admin.rows(Selector(everything=True))
        first = next(rows)
        started = time.monotonic()
        eventually(lambda: time.monotonic() - started > 3.0)
        assert [first.id, *(row.id for row in rows)] == ids
        with psycopg.connect(database.url) as other:
            other.execute("lock table booking.outbox_events")
            with pytest.raises(BackendUnavailable, match="statement timeout"):
                box.admin.stats(60.0)

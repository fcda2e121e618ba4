"""The port OperationStore: in memory, in PostgreSQL, in a file."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from support.stores import (
    BEGUN,
    HOSTILE,
    Shelf,
    done,
    frozen,
    memory_shelf,
    operation,
    postgres_shelf,
    sqlite_shelf,
)
from support.waiting import eventually
from ticketops.domain.deadletters import Outcome, Result
from ticketops.domain.operations import SEVERAL, AuditEntry, OperationState, Verb, item_target
from ticketops.errors import NotFoundError, RefusedError, UsageError
from ticketops.ports.operations import OperationStore

LONG = 60.0
SHORT = 0.05


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    if request.param == "memory":
        made = memory_shelf()
    elif request.param == "sqlite":
        made = sqlite_shelf(tmp_path / "operations.sqlite3")
    else:
        made = postgres_shelf(request.getfixturevalue("database"))
    with closing(made):
        yield made


@pytest.fixture
def store(shelf: Shelf) -> OperationStore:
    return shelf.store()


def numbers(store: OperationStore, operation_id: UUID, limit: int = 100) -> list[int]:
    return [item.number for item in store.pending(operation_id, limit)]


def log(store: OperationStore) -> list[AuditEntry]:
    """Newest first, without what `db upgrade` wrote."""
    return [entry for entry in store.log(limit=100) if entry.action != "db upgrade"]


def test_an_operation_is_found_as_it_was_stored(store: OperationStore) -> None:
    asked = operation(
        verb=Verb.DISCARD,
        queues=("bookings", "outbox"),
        selector={"since": "2026-11-23T10:00:00Z", "ids": [1, "2", None]},
        settings={"rate": 50.0, "canary": 3},
        context="staging",
    )
    made = store.create(asked, [frozen(1), frozen(2, "outbox", origin="dlq:item-2:1")])
    assert made.total == made.left == 2
    assert store.find(str(asked.id)) == made
    assert (made.verb, made.queues, made.selector, made.settings, made.context, made.cutoff) == (
        asked.verb, asked.queues, asked.selector, asked.settings, asked.context, asked.cutoff,
    )  # fmt: skip
    assert (made.runner, made.runner_until, made.state) == ("", None, OperationState.RUNNING)
    assert [(item.number, item.item, item.outcome) for item in store.items(made.id)] == [
        (1, frozen(1), None),
        (2, frozen(2, "outbox", origin="dlq:item-2:1"), None),
    ]


def test_an_operation_without_items_is_stored(store: OperationStore) -> None:
    made = store.create(operation(), [])
    assert (made.total, store.pending(made.id, 10), list(store.items(made.id))) == (0, [], [])


def test_items_that_the_plan_left_have_their_result_from_the_start(store: OperationStore) -> None:
    held = frozen(1, left=Outcome.HELD, detail="looking")
    made = store.create(operation(), [held, frozen(2), frozen(3, left=Outcome.CAPPED)])
    assert made.counts == {Outcome.HELD: 1, Outcome.CAPPED: 1}
    assert made.left == 1
    assert numbers(store, made.id) == [2]
    first = next(store.items(made.id))
    assert (first.item, first.outcome, first.detail, first.at) == (frozen(1), Outcome.HELD, "looking", BEGUN)


def test_nothing_is_stored_where_the_items_end_in_an_error(store: OperationStore) -> None:
    def items() -> Iterator[object]:
        yield frozen(1)
        raise NotFoundError("the queue went away")

    asked = operation()
    with pytest.raises(NotFoundError, match="went away"):
        store.create(asked, items())  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        store.find(str(asked.id))
    assert log(store) == []


def test_a_beginning_of_an_id_is_enough_where_it_is_one(store: OperationStore) -> None:
    first = operation(id=UUID("abcdef01-0000-4000-8000-000000000001"))
    second = operation(id=UUID("abcdef02-0000-4000-8000-000000000002"))
    for one in (first, second):
        store.create(one, [])
    assert store.find("abcdef01").id == store.find("ABCDEF01-0000").id == first.id
    assert store.find(second.id.hex).id == second.id
    with pytest.raises(UsageError, match="operation"):
        store.find("abcdef")
    for text in ("abcdef03", "", "nonsense", "%", f"{first.id}0", HOSTILE):
        with pytest.raises(NotFoundError):
            store.find(text)


def test_an_unknown_operation_is_not_found(store: OperationStore) -> None:
    unknown = uuid4()
    for call in (
        lambda: store.claim(unknown, "a", LONG),
        lambda: store.pending(unknown, 1),
        lambda: store.record(unknown, "a", {}),
        lambda: store.end(unknown, "a", OperationState.DONE),
        lambda: store.cancel(unknown, "a", ""),
        lambda: list(store.items(unknown)),
    ):
        with pytest.raises(NotFoundError):
            call()


def test_recent_ones_come_newest_first(store: OperationStore) -> None:
    made = [store.create(operation(queues=queues), []) for queues in (("a",), ("b", "a"), ("b",))]
    store.cancel(made[1].id, "me", "")
    assert [one.id for one in store.recent(limit=10)] == [made[2].id, made[1].id, made[0].id]
    assert [one.id for one in store.recent(limit=1)] == [made[2].id]
    assert [one.id for one in store.recent(queue="a", limit=10)] == [made[1].id, made[0].id]
    assert [one.id for one in store.recent(state=OperationState.CANCELLED, limit=10)] == [made[1].id]
    assert store.recent(state=OperationState.RUNNING, queue="%", limit=10) == []


def test_results_are_written_once_and_counted(store: OperationStore) -> None:
    made = store.create(operation(), [frozen(n) for n in range(1, 7)])
    assert store.claim(made.id, "a", LONG)
    assert store.record(made.id, "a", done(1, 2))
    assert store.record(made.id, "a", done(2, 4, outcome=Outcome.GONE, detail=HOSTILE))
    assert store.record(made.id, "a", {})
    now = store.find(str(made.id))
    assert now.counts == {Outcome.DONE: 2, Outcome.GONE: 1}
    assert now.left == 3
    assert numbers(store, made.id) == [3, 5, 6]
    assert numbers(store, made.id, 2) == [3, 5]
    assert store.record(made.id, "a", done(3, 5, 6))
    assert numbers(store, made.id) == []
    shown = {item.number: item for item in store.items(made.id)}
    assert (shown[4].outcome, shown[4].detail) == (Outcome.GONE, HOSTILE)
    assert shown[2].outcome is Outcome.DONE
    assert all(item.at is not None for item in shown.values())


def test_results_out_of_order_leave_nothing_behind(store: OperationStore) -> None:
    made = store.create(operation(), [frozen(n) for n in range(1, 11)])
    for batch in ([9, 2], [1, 3, 10], [5], [8, 6, 7]):
        store.record(made.id, "", done(*batch))
    assert numbers(store, made.id) == [4]
    store.record(made.id, "", done(4))
    assert (numbers(store, made.id), store.find(str(made.id)).left) == ([], 0)


def test_each_item_has_its_own_result_whatever_its_neighbors_have(store: OperationStore) -> None:
    said = [Outcome.DONE] * 400 + [Outcome.GONE, Outcome.DONE] * 3 + [Outcome.FAILED] * 94 + [Outcome.DONE] * 500
    made = store.create(operation(), [frozen(n, left=Outcome.HELD if n == 7 else None) for n in range(1, 1001)])
    wanted = {n: Result(f"dlq:item-{n}:1", outcome, str(n // 300)) for n, outcome in enumerate(said, 1) if n != 7}
    for first, last in ((300, 500), (1, 420), (480, 1000)):  # each knows some of what the one before wrote
        store.record(made.id, "", {n: result for n, result in wanted.items() if first <= n <= last})
        store.record(made.id, "", done(*range(first, last + 1, 50), outcome=Outcome.CHANGED, detail="too late"))
    found = {one.number: (one.outcome, one.detail) for one in store.items(made.id)}
    assert found.pop(7) == (Outcome.HELD, "")
    assert found == {n: (result.outcome, result.detail) for n, result in wanted.items()}
    now = store.find(str(made.id))
    assert (now.counts, now.left) == (
        {Outcome.DONE: 902, Outcome.GONE: 3, Outcome.HELD: 1, Outcome.FAILED: 94}, 0,
    )  # fmt: skip
    for n in (1, 299, 300, 401, 402, 406, 500, 501, 1000):
        (entry,) = store.history("bookings", f"dlq:item-{n}:1", f"item-{n}")
        assert (entry.result, entry.details) == (said[n - 1].value, {"detail": str(n // 300)})


def test_one_runner_at_a_time(shelf: Shelf) -> None:
    ours, theirs = shelf.store(), shelf.store()
    made = ours.create(operation(), [frozen(1), frozen(2)])
    assert ours.claim(made.id, "a", LONG)
    assert not theirs.claim(made.id, "b", LONG)
    assert ours.claim(made.id, "a", LONG)
    with pytest.raises(RefusedError, match="run by a"):
        theirs.record(made.id, "b", done(1))
    with pytest.raises(RefusedError, match="run by a"):
        theirs.end(made.id, "b", OperationState.DONE)
    seen = theirs.find(str(made.id))
    assert (seen.runner, seen.counts) == ("a", {})
    assert seen.worked_on(theirs.now())


def test_a_dead_runner_is_followed_by_another(shelf: Shelf) -> None:
    ours, theirs = shelf.store(), shelf.store()
    made = ours.create(operation(), [frozen(1), frozen(2)])
    assert ours.claim(made.id, "a", SHORT)
    ours.record(made.id, "a", done(1))
    assert eventually(lambda: theirs.claim(made.id, "b", LONG))
    assert numbers(theirs, made.id) == [2]
    with pytest.raises(RefusedError, match="run by b"):
        ours.record(made.id, "a", done(2))
    with pytest.raises(RefusedError, match="run by b"):
        ours.end(made.id, "a", OperationState.DONE)
    assert theirs.record(made.id, "b", done(2))
    assert theirs.end(made.id, "b", OperationState.DONE).state is OperationState.DONE


def test_recording_renews_the_lease(store: OperationStore) -> None:
    made = store.create(operation(), [frozen(1), frozen(2)])
    assert store.claim(made.id, "a", LONG)
    before = store.find(str(made.id)).runner_until
    eventually(lambda: store.now() > BEGUN)
    store.record(made.id, "a", done(1))
    after = store.find(str(made.id)).runner_until
    assert before is not None
    assert after is not None
    assert after > before


def test_a_lease_that_ran_out_is_renewed_by_its_own_runner(store: OperationStore) -> None:
    made = store.create(operation(), [frozen(1)])
    assert store.claim(made.id, "a", SHORT)
    eventually(lambda: not store.find(str(made.id)).worked_on(store.now()))
    assert store.record(made.id, "a", done(1))
    assert store.claim(made.id, "a", LONG)


def test_a_stopped_operation_goes_on(store: OperationStore) -> None:
    made = store.create(operation(), [frozen(1), frozen(2)])
    store.claim(made.id, "a", LONG)
    store.record(made.id, "a", done(1))
    stopped = store.end(made.id, "a", OperationState.STOPPED, "Ctrl-C")
    assert (stopped.state, stopped.note, stopped.runner, stopped.runner_until) == (
        OperationState.STOPPED, "Ctrl-C", "", None,
    )  # fmt: skip
    assert stopped.ended_at is not None
    assert store.claim(made.id, "b", LONG)
    again = store.find(str(made.id))
    assert (again.state, again.note, again.ended_at, again.runner) == (OperationState.RUNNING, "", None, "b")


@pytest.mark.parametrize("state", [OperationState.DONE, OperationState.CANCELLED])
def test_what_has_ended_stays_so(store: OperationStore, state: OperationState) -> None:
    made = store.create(operation(), [frozen(1)])
    store.claim(made.id, "a", LONG)
    ended = store.end(made.id, "a", state, "so be it")
    assert store.end(made.id, "a", state) == ended
    with pytest.raises(RefusedError, match=state):
        store.claim(made.id, "b", LONG)
    with pytest.raises(RefusedError, match=state):
        store.cancel(made.id, "me", "")
    with pytest.raises(RefusedError, match=state):
        store.end(made.id, "a", OperationState.STOPPED)


def test_a_live_runner_learns_of_a_cancel_with_its_next_results(shelf: Shelf) -> None:
    ours, theirs = shelf.store(), shelf.store()
    made = ours.create(operation(), [frozen(n) for n in range(1, 4)])
    ours.claim(made.id, "a", LONG)
    assert ours.record(made.id, "a", done(1))
    asked = theirs.cancel(made.id, "boss@there", "wrong items")
    assert (asked.state, asked.note) == (OperationState.RUNNING, "cancelled by boss@there: wrong items")
    assert not ours.record(made.id, "a", done(2))
    assert not ours.record(made.id, "a", {})
    ended = ours.end(made.id, "a", OperationState.CANCELLED)
    assert (ended.note, ended.counts, ended.left) == ("cancelled by boss@there: wrong items", {Outcome.DONE: 2}, 1)


@pytest.mark.parametrize("stopped", [False, True])
def test_without_a_live_runner_a_cancel_is_the_end(store: OperationStore, *, stopped: bool) -> None:
    made = store.create(operation(), [frozen(1), frozen(2)])
    if stopped:
        store.claim(made.id, "a", LONG)
        store.end(made.id, "a", OperationState.STOPPED)
    ended = store.cancel(made.id, "boss@there", "")
    assert (ended.state, ended.note, ended.left) == (OperationState.CANCELLED, "cancelled by boss@there", 2)
    assert ended.ended_at is not None


def test_what_a_runner_did_before_it_heard_of_the_end_is_written(store: OperationStore) -> None:
    made = store.create(operation(), [frozen(1), frozen(2)])
    store.claim(made.id, "a", SHORT)
    eventually(lambda: not store.find(str(made.id)).worked_on(store.now()))
    assert store.cancel(made.id, "boss", "").state is OperationState.CANCELLED
    assert not store.record(made.id, "a", done(1))
    after = store.find(str(made.id))
    assert (after.state, after.counts, after.runner) == (OperationState.CANCELLED, {Outcome.DONE: 1}, "")


def test_a_cancel_that_a_dead_runner_did_not_hear_is_done_at_the_next_claim(store: OperationStore) -> None:
    made = store.create(operation(), [frozen(1)])
    store.claim(made.id, "a", 5.0)
    assert store.cancel(made.id, "boss", "enough").state is OperationState.RUNNING
    eventually(lambda: not store.find(str(made.id)).worked_on(store.now()))
    with pytest.raises(RefusedError, match="cancelled"):
        store.claim(made.id, "b", LONG)
    assert store.find(str(made.id)).state is OperationState.CANCELLED
    assert store.log(limit=1)[0].result == "cancelled"


def test_the_history_of_an_item_has_all_its_deaths(store: OperationStore) -> None:
    first = store.create(operation(reason="gateway is back"), [frozen(1), frozen(2)])
    store.record(first.id, "", done(1, 2))
    second = store.create(operation(verb=Verb.DISCARD), [frozen(1, id="dlq:item-1:2"), frozen(3)])
    store.record(second.id, "", {1: Result("dlq:item-1:2", Outcome.GONE, "it left")})
    elsewhere = store.create(operation(), [frozen(1, "other")])
    store.record(elsewhere.id, "", done(1))
    for item in ("dlq:item-1:1", "dlq:item-1:2", "dlq:item-1:3"):
        history = store.history("bookings", item, "item-1")
        assert [(e.action, e.operation, e.result) for e in history] == [
            ("dlq requeue", first.id, "done"),
            ("dlq discard", second.id, "gone"),
        ]
    assert (history[0].reason, history[1].details) == ("gateway is back", {"detail": "it left"})
    assert store.history("bookings", "dlq:item-3:1", "item-3") == []


def test_the_history_knows_an_item_that_is_its_own_origin(store: OperationStore) -> None:
    made = store.create(operation(queues=("outbox",)), [frozen(1, "outbox", id="e-1", origin="e-1")])
    store.record(made.id, "", done(1))
    assert [e.operation for e in store.history("outbox", "e-1", "e-1")] == [made.id]
    assert [e.operation for e in store.history("outbox", "elsewhere", "e-1")] == [made.id]


def test_the_history_has_entries_of_the_audit_log(store: OperationStore) -> None:
    target = item_target("bookings", "dlq:item-1:1")
    entry = AuditEntry(at=BEGUN, actor="me@here", action="dlq edit", target=target, result="edited")
    store.audit(entry)
    store.audit(AuditEntry(at=BEGUN, actor="me@here", action="dlq edit", target="bookings/other"))
    assert store.history("bookings", "dlq:item-1:1", "item-1") == [entry]


def test_the_audit_log_has_the_start_and_what_came_of_it(store: OperationStore) -> None:
    made = store.create(operation(), [frozen(1), frozen(2)])
    store.claim(made.id, "a", LONG)
    store.record(made.id, "a", done(1))
    store.end(made.id, "a", OperationState.STOPPED, "too many failures")
    end, start = log(store)
    assert (start.action, start.target, start.result) == ("dlq requeue", "bookings", "started")
    assert (end.operation, end.actor, end.reason, end.result) == (made.id, "tester@here", "because", "stopped")
    assert end.details == {"counts": {"done": 1}, "total": 2, "note": "too many failures"}


def test_the_audit_log_comes_newest_first(store: OperationStore) -> None:
    now = store.now()
    for n in (2, 1, 3):
        store.audit(AuditEntry(at=now + timedelta(hours=n), actor="me", action=f"a{n}", target="t"))
    assert [entry.action for entry in log(store)] == ["a3", "a2", "a1"]
    assert [entry.action for entry in store.log(limit=2)] == ["a3", "a2"]
    assert [entry.action for entry in store.log(since=now + timedelta(hours=2), limit=10)] == ["a3", "a2"]


def test_hostile_text_is_kept(store: OperationStore) -> None:
    item = frozen(1, HOSTILE, id=HOSTILE, digest=HOSTILE, origin="x" * 20_000, key=HOSTILE)
    asked = operation(
        queues=(HOSTILE,), reason=HOSTILE, selector={HOSTILE: [HOSTILE]}, settings={"a": HOSTILE}, context=HOSTILE
    )
    made = store.create(asked, [item])
    found = store.find(str(made.id))
    assert (found.queues, found.reason, found.selector, found.context) == (
        (HOSTILE,), HOSTILE, {HOSTILE: [HOSTILE]}, HOSTILE,
    )  # fmt: skip
    assert [one.item for one in store.pending(made.id, 1)] == [item]
    store.record(made.id, "", {1: Result(HOSTILE, Outcome.FAILED, HOSTILE)})
    assert [e.details for e in store.history(HOSTILE, HOSTILE, "")] == [{"detail": HOSTILE}]
    assert len(store.history(HOSTILE, "", "x" * 20_000)) == 1
    store.end(made.id, "", OperationState.DONE, HOSTILE)
    store.audit(AuditEntry(at=BEGUN, actor=HOSTILE, action="a", target=HOSTILE, details={HOSTILE: {"x": HOSTILE}}))
    assert len(log(store)) == 3


def test_the_items_of_old_operations_are_dropped(store: OperationStore) -> None:
    made = [store.create(operation(), [frozen(n), frozen(n + 10)]) for n in range(1, 5)]
    for one in made:
        store.record(one.id, "", done(1))
    for one, state in zip(made, (OperationState.DONE, OperationState.CANCELLED, OperationState.STOPPED), strict=False):
        store.end(one.id, "", state)
    later = store.now() + timedelta(seconds=1)
    assert store.forget(BEGUN, 10) == 0
    assert (store.forget(later, 1), store.forget(later, 10), store.forget(later, 10)) == (1, 1, 0)
    assert [len(list(store.items(one.id))) for one in made] == [0, 0, 2, 2]
    assert store.find(str(made[0].id)).counts == {Outcome.DONE: 1}
    assert store.history("bookings", "dlq:item-1:1", "item-1") == []
    assert len(store.history("bookings", "dlq:item-3:1", "item-3")) == 1
    assert len([entry for entry in store.log(limit=100) if entry.result == "started"]) == 4


def test_many_items_are_stored_and_read_in_pieces(store: OperationStore) -> None:
    total = 12_001
    made = store.create(operation(), (frozen(n) for n in range(1, total + 1)))
    assert made.total == total
    seen = 0
    while batch := store.pending(made.id, 3000):
        assert [item.number for item in batch] == list(range(seen + 1, seen + len(batch) + 1))
        seen += len(batch)
        store.record(made.id, "", done(*(item.number for item in batch)))
    assert seen == total
    assert [item.number for item in store.items(made.id)] == list(range(1, total + 1))


def test_reading_and_writing_go_side_by_side(shelf: Shelf) -> None:
    ours, theirs = shelf.store(), shelf.store()
    made = ours.create(operation(), [frozen(n) for n in range(1, 5001)])
    reading = theirs.items(made.id)
    assert next(reading).number == 1
    assert ours.record(made.id, "", done(*range(1, 501)))
    assert sum(1 for _ in reading) == 4999


def test_closing_twice_is_nothing_and_it_opens_again(store: OperationStore) -> None:
    store.create(operation(), [])
    store.close()
    store.close()
    assert len(store.recent(limit=10)) == 1


def test_a_store_says_where_it_is(store: OperationStore) -> None:
    assert store.place
    assert store.shared == ("PostgreSQL" in store.place)


def test_what_requeues_put_back_is_counted_by_queue(store: OperationStore) -> None:
    assert store.requeued() == {}
    first = store.create(operation(), [frozen(n) for n in (1, 2, 3)])
    store.record(first.id, "", {**done(1, 2), 3: Result("x", Outcome.HELD)})
    second = store.create(operation(), [frozen(4)])
    store.record(second.id, "", done(1))
    over = store.create(operation(queues=("bookings", "payments")), [frozen(5)])
    store.record(over.id, "", done(1))
    discarded = store.create(operation(verb=Verb.DISCARD), [frozen(6)])
    store.record(discarded.id, "", done(1))
    assert store.requeued() == {"bookings": 3, SEVERAL: 1}
    store.end(first.id, "", OperationState.DONE)
    store.forget(store.now() + timedelta(days=1), 10)
    assert store.requeued() == {"bookings": 3, SEVERAL: 1}

"""Changes to dead letters, over the memory backends."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from support.changes import World
from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue, MemoryDeaths
from ticketops.domain.deadletters import BodyState, Narrowing, Outcome
from ticketops.domain.operations import Hold, OperationState, Verb
from ticketops.domain.pacing import Pace
from ticketops.errors import BackendUnavailable, DeniedError, RefusedError
from ticketops.services.dlq.runner import Progress, Surroundings
from ticketops.services.dlq.running import Run


@pytest.fixture
def world() -> World:
    return World()


def test_every_item_that_was_chosen_is_put_back_once_and_has_its_result(world: World) -> None:
    for number in range(25):
        world.die(number)
    report = world.change(Verb.REQUEUE)
    assert sorted(world.delivered) == sorted(f"item-{n}" for n in range(25))
    assert world.there == []
    assert report.operation.state is OperationState.DONE
    assert report.operation.counts == {Outcome.DONE: 25}
    items = list(world.store.items(report.operation.id))
    assert [item.number for item in items] == list(range(1, 26))
    assert {item.outcome for item in items} == {Outcome.DONE}


def test_items_that_die_after_the_plan_are_not_chased_and_are_reported(world: World) -> None:
    world.die(1)
    world.die(2)
    plan = world.plan(Verb.REQUEUE)
    operation = world.begin(plan)
    world.clock.go(60)
    world.die(3)

    def fail_again(progress: Progress) -> None:
        if progress.done and "dead-11" not in world.place.letters:
            letter = world.place.delivered["show-1"].pop(0)
            world.place.add(replace(letter, id="dead-11", failed_at=world.clock.now()))

    report = world.run(operation, Surroundings(observe=fail_again, clock=world.clock.monotonic)).first()
    assert world.there == ["dead-11", "dead-3"]
    assert (report.newcomers.new, report.newcomers.returned) == (2, 1)
    assert report.done == 2


def test_what_is_left_has_its_cause_from_the_start(world: World) -> None:
    for number in range(5):
        world.die(number)
    world.annotations.hold([Hold(queue="bookings", id="dead-0", note="mine", actor="bob@x", at=world.clock.now())])
    world.place.requeues["item-1"] = 3
    world.place.add(replace(world.place.letters["dead-2"], body=BodyState.MISSING, payload=None, problem="expired"))
    world.place.add(replace(world.place.letters["dead-3"], body=BodyState.UNREADABLE, problem="not JSON"))
    plan = world.plan(Verb.REQUEUE)
    assert plan.tally.meant == 1
    assert plan.lines[0] == "requeue 1 item in bookings 1"
    report = world.run(world.begin(plan)).first()
    assert report.operation.counts == {
        Outcome.DONE: 1,
        Outcome.HELD: 1,
        Outcome.CAPPED: 1,
        Outcome.ORPHAN: 1,
        Outcome.UNREADABLE: 1,
    }
    assert world.delivered == ["item-4"]


def test_the_loop_guard_gives_way_to_force(world: World) -> None:
    world.die(1)
    world.place.requeues["item-1"] = 3
    with world.plan(Verb.REQUEUE) as plan, world.plan(Verb.REQUEUE, force=True) as forced:
        assert (plan.tally.meant, forced.tally.meant) == (0, 1)


def test_an_item_held_after_the_plan_is_left(world: World) -> None:
    world.die(1)
    world.die(2)
    operation = world.begin(world.plan(Verb.REQUEUE))
    world.change(Verb.HOLD, ["dead-1"])
    report = world.run(operation).first()
    assert report.operation.counts == {Outcome.DONE: 1, Outcome.HELD: 1}
    assert report.examples[0][1:] == (Outcome.HELD, "ada@here: because")
    assert world.there == ["dead-1"]


def test_an_item_that_changed_after_the_plan_is_left(world: World) -> None:
    world.die(1)
    operation = world.begin(world.plan(Verb.REQUEUE))
    world.place.add(replace(world.place.letters["dead-1"], stored=b"other"))
    assert world.run(operation).first().operation.counts == {Outcome.CHANGED: 1}


def test_two_operators_do_not_meet_twice(world: World) -> None:
    world.die(1)
    first, second = world.begin(world.plan(Verb.REQUEUE)), world.begin(world.plan(Verb.REQUEUE))
    assert world.run(first).first().operation.counts == {Outcome.DONE: 1}
    report = world.run(second).first()
    assert report.operation.counts == {Outcome.ALREADY: 1}
    assert report.examples[0][2] == str(first.id)
    assert world.delivered == ["item-1"]


def test_a_backend_that_goes_away_puts_the_operation_down_and_resume_does_the_rest(world: World) -> None:
    for number in range(30):
        world.die(number)
    operation = world.begin(world.plan(Verb.REQUEUE))

    def cut(progress: Progress) -> None:
        world.place.up = progress.done < 20

    with pytest.raises(BackendUnavailable) as caught:
        world.run(operation, Surroundings(observe=cut, clock=world.clock.monotonic)).first()
    assert caught.value.hint == f"what is left: ticketops ops resume {operation.id}"
    stored = world.store.find(str(operation.id))
    assert (stored.state, stored.counts) == (OperationState.STOPPED, {Outcome.DONE: 20})
    world.place.up = True
    report = world.run(stored).resume()
    assert report.operation.counts == {Outcome.DONE: 30}
    assert len(set(world.delivered)) == len(world.delivered) == 30


def test_an_interrupt_ends_after_the_batch_in_hand(world: World) -> None:
    for number in range(30):
        world.die(number)
    stop = threading.Event()
    around = Surroundings(stop=stop, observe=lambda _: stop.set(), clock=world.clock.monotonic)
    report = world.change(Verb.REQUEUE, around=around)
    assert (report.operation.state, report.operation.note) == (OperationState.STOPPED, "interrupted")
    assert (report.done, report.operation.left) == (10, 20)


def test_a_cancel_from_elsewhere_ends_the_run(world: World) -> None:
    for number in range(100):
        world.die(number)
    operation = world.begin(world.plan(Verb.REQUEUE))

    def cancel(progress: Progress) -> None:
        world.clock.go(1)
        if progress.done == 30:
            world.store.cancel(operation.id, "bob@there", "enough")

    report = world.run(operation, Surroundings(observe=cancel, clock=world.clock.monotonic)).first()
    assert report.operation.state is OperationState.CANCELLED
    assert 30 <= report.done < 100
    assert len(world.delivered) == report.done
    with pytest.raises(RefusedError):
        world.run(operation).resume()


def test_failures_stop_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        world.die(number)
    from ticketops.domain.deadletters import Result  # noqa: PLC0415

    def refuse(_: Any, marks: Any) -> list[Result]:
        return [Result(mark.id, Outcome.FAILED, "no") for mark in marks]

    monkeypatch.setattr(world.queue, "requeue", refuse)
    report = world.change(Verb.REQUEUE, pace=Pace(max_failures=15))
    assert report.operation.note == "20 items failed, --max-failures is 15"
    assert report.operation.state is OperationState.STOPPED
    assert report.failed == 20


def test_a_destination_that_backs_up_stops_it_at_the_bound(world: World) -> None:
    for number in range(50):
        world.die(number)
    report = world.change(Verb.REQUEUE, pace=Pace(max_backlog=13))
    assert report.operation.note == "13 wait at show-1, --max-backlog is 13"
    assert len(world.delivered) == 13
    world.place.delivered.clear()
    assert world.run(report.operation).resume().done == 26


class Waiting(threading.Event):
    """An event that is never set: who waits for it lets time go on."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def wait(self, timeout: float | None = None) -> bool:
        self.world.clock.go(timeout or 0.0)
        return self.is_set()


def test_the_rate_is_kept(world: World) -> None:
    for number in range(100):
        world.die(number)
    around = Surroundings(stop=Waiting(world), clock=world.clock.monotonic)
    started = world.clock.seconds
    assert world.change(Verb.REQUEUE, pace=Pace(rate=20), around=around).done == 100
    assert 4.9 <= world.clock.seconds - started <= 5.1


def test_a_resume_goes_on_at_the_speed_it_is_given(world: World) -> None:
    for number in range(110):
        world.die(number)
    around = Surroundings(stop=Waiting(world), clock=world.clock.monotonic)
    stopped = world.change(Verb.REQUEUE, pace=Pace(rate=20, max_backlog=10), around=around).operation
    assert stopped.state is OperationState.STOPPED
    world.place.delivered.clear()
    started = world.clock.seconds
    report = world.run(stopped, around).resume({"rate": 50, "max_backlog": None})
    assert report.done == 110
    assert 1.9 <= world.clock.seconds - started <= 2.1


@pytest.mark.parametrize("back", [True, False])
def test_a_canary_that_comes_back_stops_it(world: World, back: bool) -> None:
    for number in range(40):
        world.die(number)

    def fail_again(progress: Progress) -> None:
        if back and progress.note and "dead-99" not in world.place.letters:
            letter = world.place.delivered["show-1"].pop(0)
            world.place.add(replace(letter, id="dead-99", failed_at=world.clock.now()))

    around = Surroundings(stop=Waiting(world), observe=fail_again, clock=world.clock.monotonic)
    started = world.clock.seconds
    report = world.change(Verb.REQUEUE, pace=Pace(canary=5, canary_wait=30), around=around)
    if not back:
        assert report.done == 40
        assert world.clock.seconds - started >= 30
        return
    assert report.operation.note == "canary: 1 of 5 came back: dead-99"
    assert report.done == 5
    assert world.run(report.operation, around).resume().done == 40


def test_a_canary_that_nobody_saw_to_its_end_is_watched_again(world: World) -> None:
    for number in range(40):
        world.die(number)
    stop = Waiting(world)

    def leave(progress: Progress) -> None:
        if progress.note:
            stop.set()

    def fail_again(progress: Progress) -> None:
        if progress.note and "dead-99" not in world.place.letters:
            letter = world.place.delivered["show-1"].pop()
            world.place.add(replace(letter, id="dead-99", failed_at=world.clock.now()))

    around = Surroundings(stop=stop, observe=leave, clock=world.clock.monotonic)
    cut = world.change(Verb.REQUEUE, pace=Pace(canary=5, canary_wait=30), around=around).operation
    assert (cut.note, cut.counts) == ("interrupted", {Outcome.DONE: 5})
    again = Surroundings(stop=Waiting(world), observe=fail_again, clock=world.clock.monotonic)
    report = world.run(cut, again).resume()
    assert (report.operation.note, report.done) == ("canary: 1 of 5 came back: dead-99", 10)
    assert world.run(report.operation, again).resume().done == 40


def test_a_canary_is_watched_in_every_queue_that_it_is_of(world: World) -> None:
    other = MemoryDeaths(clock=world.clock.now)
    queues = {"bookings": world.queue, "others": MemoryDeadLetterQueue(other, name="others", batch=10)}
    for number in range(3):
        world.die(number)
        other.add(replace(world.place.letters[f"dead-{number}"], queue="others", origin=f"other-{number}"))

    def fail_again(progress: Progress) -> None:
        if progress.note and "dead-99" not in world.place.letters:
            letter = world.place.delivered["show-1"].pop()
            world.place.add(replace(letter, id="dead-99", failed_at=world.clock.now()))

    letters = [letter for queue in queues.values() for letter in queue.scan(Narrowing())]
    operation = world.begin(world.plan(Verb.REQUEUE, letters=letters), Pace(canary=5, canary_wait=30))
    around = Surroundings(stop=Waiting(world), observe=fail_again, clock=world.clock.monotonic)
    report = Run(world.desk(), operation, queues, around).first()
    assert (report.operation.note, report.done) == ("canary: 1 of 5 came back: dead-99", 5)


def test_a_dead_runner_is_followed_after_its_lease_and_a_living_one_is_not(world: World) -> None:
    world.die(1)
    operation = world.begin(world.plan(Verb.REQUEUE))
    world.store.claim(operation.id, "gone@x:1", 10)
    notes = list[str]()
    around = Surroundings(stop=Waiting(world), observe=lambda at: notes.append(at.note), clock=world.clock.monotonic)
    assert world.run(operation, around).resume().done == 1
    assert notes[0] == "waiting whether gone@x:1 is dead"

    world.die(2)
    other = world.begin(world.plan(Verb.REQUEUE))
    world.store.claim(other.id, "alive@x:1", 10)
    alive = Surroundings(
        stop=Waiting(world),
        observe=lambda _: world.store.claim(other.id, "alive@x:1", 10) and None,
        clock=world.clock.monotonic,
    )
    with pytest.raises(RefusedError, match="is being worked on"):
        world.run(other, alive).resume()
    with pytest.raises(RefusedError, match="is being worked on"):
        world.run(other).first()


def test_nothing_is_changed_in_a_read_only_context() -> None:
    world = World(read_only=True)
    world.die(1)
    with pytest.raises(DeniedError):
        world.begin(world.plan(Verb.REQUEUE))
    assert world.store.recent(limit=10) == []


def test_discard_keeps_what_it_removes_and_restore_brings_it_back(world: World) -> None:
    for number in range(12):
        world.die(number)
    before = world.letters()
    assert world.change(Verb.DISCARD).done == 12
    assert world.there == []
    kept = [letter for _, letter in world.annotations.archived("bookings")]
    assert kept == before
    operation = world.begin(world.plan(Verb.RESTORE, letters=kept))
    assert world.run(operation).first().done == 12
    assert world.letters() == before
    assert list(world.annotations.archived("bookings")) == []


def test_purge_is_final_from_the_archive_and_from_the_queue(world: World) -> None:
    for number in range(4):
        world.die(number)
    world.change(Verb.DISCARD, ["dead-0", "dead-1"])
    kept = [letter for _, letter in world.annotations.archived("bookings", ["dead-0"])]
    plan = world.plan(Verb.PURGE, letters=kept, past_holds=True)
    assert world.run(world.begin(plan, archive=True, past_holds=True)).first().done == 1
    assert [one.id for one, _ in world.annotations.archived("bookings")] == ["dead-1"]
    assert world.change(Verb.PURGE, ["dead-2"]).done == 1
    assert world.there == ["dead-3"]


def test_an_edit_keeps_the_old_payload_and_the_id(world: World) -> None:
    world.die(1)
    report = world.change(Verb.EDIT, edit={"set": ["n=7", "x.y=1"]})
    assert report.examples[0][1:] == (Outcome.FAILED, "there is no 'x'")
    assert world.annotations.edits("bookings", ["dead-1"]) == {}
    assert world.change(Verb.EDIT, edit={"set": ["n=7"]}).done == 1
    assert world.place.letters["dead-1"].payload == b'{"n":7}'
    (edit,) = world.annotations.edits("bookings", ["dead-1"])["dead-1"]
    assert (edit.before, edit.after, edit.reason) == (b'{"n":1}', b'{"n":7}', "because")


def test_an_edit_that_the_consumer_would_refuse_is_not_made(world: World) -> None:
    world.die(1)
    world.place.verdict = lambda payload: "no n" if b"n" not in payload else None
    report = world.change(Verb.EDIT, edit={"patch": '{"n":null}'})
    assert report.examples[0][2] == "its consumer would refuse it: no n"
    assert world.place.letters["dead-1"].payload == b'{"n":1}'


def test_holds_end(world: World) -> None:
    world.die(1)
    world.change(Verb.HOLD)
    assert world.annotations.held("bookings")["dead-1"].note == "because"
    with world.plan(Verb.DISCARD) as plan:
        assert plan.tally.left == {Outcome.HELD: 1}
    world.change(Verb.RELEASE)
    assert world.annotations.held("bookings") == {}
    assert world.change(Verb.RELEASE).operation.total == 0


def test_an_import_says_what_is_there_already(world: World) -> None:
    world.die(1)
    world.die(2)
    world.die(3)
    world.die(4)
    letters = world.letters()
    letters[2] = replace(letters[2], digest="of another state")
    letters[3] = replace(letters[3], digest="")
    world.change(Verb.PURGE, ["dead-1"])
    operation = world.begin(world.plan(Verb.IMPORT, letters=letters))
    chosen = {letter.id: letter for letter in letters}
    report = world.run(operation, pick=lambda items: {one.item.id: chosen[one.item.id] for one in items}).first()
    assert report.operation.counts == {Outcome.DONE: 1, Outcome.ALREADY: 1, Outcome.EXISTS: 2}
    assert world.there == ["dead-1", "dead-2", "dead-3", "dead-4"]


def test_times_of_a_plan_are_those_of_its_items(world: World) -> None:
    world.die(1)
    world.clock.go(3600)
    world.die(2)
    with world.plan(Verb.REQUEUE) as plan:
        assert plan.tally.newest
        assert plan.tally.oldest
        assert plan.tally.newest - plan.tally.oldest == timedelta(hours=1)

"""DeadLetterQueue: what every place of dead letters does, in memory and in every real backend."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import pytest

from support.deadletters import BOXES, DeathBox, Trait, make_box, order
from ticketops.domain.deadletters import BodyState, DeadLetter, Fault, FaultKind, Mark, Narrowing, Outcome, Result

EVERYTHING = Narrowing()


@pytest.fixture(params=sorted(BOXES))
def box(request: pytest.FixtureRequest) -> Iterator[DeathBox]:
    with closing(make_box(request.param, request.getfixturevalue)) as made:
        yield made


def needs(box: DeathBox, trait: Trait) -> None:
    if trait not in box.traits:
        pytest.skip(f"nothing like {trait.name} happens there")


def one(box: DeathBox, id_: str) -> DeadLetter:
    (letter,) = box.queue.get([id_])
    return letter


def scanned(box: DeathBox, narrowing: Narrowing = EVERYTHING) -> list[str]:
    return [letter.id for letter in box.queue.scan(narrowing)]


def faults(box: DeathBox, grace: float = 60.0) -> list[tuple[FaultKind, str]]:
    return [(fault.kind, fault.subject) for fault in box.queue.faults(grace)]


def test_an_empty_queue_has_nothing(box: DeathBox) -> None:
    queue = box.queue
    assert (queue.count(), queue.newest_failure(), scanned(box), faults(box)) == (0, None, [], [])
    assert queue.batch > 0
    assert queue.name
    assert list(queue.get(["no-such-id"])) == []


def test_items_come_oldest_first_with_what_is_known_of_them(box: DeathBox) -> None:
    ids = [box.die(f"B-{n}", reason="timeout", message=f"no answer {n}", age=100 - 10 * n) for n in range(5)]
    assert (box.queue.count(), scanned(box)) == (5, ids)
    letters = list(box.queue.scan(EVERYTHING))
    assert [letter.error_message for letter in letters] == [f"no answer {n}" for n in range(5)]
    assert {(letter.reason, letter.queue, letter.kind) for letter in letters} == {
        (letters[0].reason, box.queue.name, box.queue.kind)
    }
    assert len({letter.origin for letter in letters}) == 5
    for letter in letters:
        assert letter.body is BodyState.PRESENT
        assert letter.payload
        assert letter.stored
        assert letter.digest
        assert letter.destination
        assert letter.requeues == 0
        assert letter.failed_at
        assert timedelta(0) <= box.queue.now() - letter.failed_at < timedelta(seconds=300)
    newest = box.queue.newest_failure()
    assert newest
    assert letters[-1].failed_at
    assert abs(newest - letters[-1].failed_at) < timedelta(seconds=2)


def test_items_are_got_in_the_order_asked_for(box: DeathBox) -> None:
    ids = [box.die(f"B-{n}") for n in range(3)]
    asked = [ids[2], "no-such-id", ids[0]]
    assert [letter.id for letter in box.queue.get(asked)] == [ids[2], ids[0]]
    by_scan = next(letter for letter in box.queue.scan(EVERYTHING) if letter.id == ids[1])
    assert replace(one(box, ids[1]), place={}) == replace(by_scan, place={})


def test_a_narrowing_leaves_out_nothing_that_it_means(box: DeathBox) -> None:
    old, late = box.die("B-1", age=5000), box.die("B-2", age=50)
    now = box.queue.now()
    assert late in scanned(box, Narrowing(since=now - timedelta(seconds=100)))
    assert old not in scanned(box, Narrowing(since=now - timedelta(seconds=100)))
    assert old in scanned(box, Narrowing(until=now - timedelta(seconds=1000)))
    assert late not in scanned(box, Narrowing(until=now - timedelta(seconds=1000)))
    letter = one(box, old)
    assert old in scanned(box, Narrowing(reason=letter.reason, key=letter.key, bodies=False))


def test_more_than_a_page_with_one_time_is_read_once_each(box: DeathBox) -> None:
    ids = {box.die(f"B-{n}", age=500) for n in range(230)}
    found = scanned(box)
    assert len(found) == 230
    assert set(found) == ids


def test_a_scan_sees_what_stays_while_others_leave(box: DeathBox) -> None:
    ids = [box.die(f"B-{n}", age=500) for n in range(60)]
    scan = box.queue.scan(EVERYTHING)
    first = next(scan)
    leaving = [Mark(one_) for one_ in ids if one_ != first.id][:30]
    size = box.queue.batch
    for start in range(0, len(leaving), size):
        box.another().remove(uuid4(), leaving[start : start + size])
    seen = [first.id, *(letter.id for letter in scan)]
    assert len(seen) == len(set(seen))
    assert set(ids) - {mark.id for mark in leaving} <= set(seen)


def test_a_requeue_puts_items_back_and_counts_it(box: DeathBox) -> None:
    ids = [box.die("B-1", age=300 - n) for n in range(3)]
    letters = list(box.queue.get(ids))
    assert box.queue.requeue(order(), [letter.mark for letter in letters]) == [Result(i, Outcome.DONE) for i in ids]
    assert box.delivered() == [letter.origin for letter in letters]
    assert (box.queue.count(), scanned(box)) == (0, [])
    again = box.die_again(letters[0].origin)
    letter = one(box, again)
    assert (letter.origin, letter.requeues) == (letters[0].origin, 1)
    box.queue.requeue(order(), [letter.mark])
    assert one(box, box.die_again(letter.origin)).requeues == 2


def test_a_destination_tells_how_much_waits_there(box: DeathBox) -> None:
    letter = one(box, box.die("B-1"))
    before = box.queue.backlog(letter.destination)
    box.queue.requeue(order(), [letter.mark])
    after = box.queue.backlog(letter.destination)
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert after == before + 1
    assert box.queue.backlog("") is None


def test_a_repeated_requeue_does_nothing_and_names_the_operation(box: DeathBox) -> None:
    letter, first = one(box, box.die("B-1")), order()
    assert box.queue.requeue(first, [letter.mark])[0].outcome is Outcome.DONE
    already = [Result(letter.id, Outcome.ALREADY, str(first.operation))]
    assert box.queue.requeue(first, [letter.mark]) == already
    assert box.another().requeue(order(), [letter.mark]) == already
    assert box.another().requeue(order(), [Mark(letter.id)]) == already
    assert box.delivered() == [letter.origin]


def test_an_item_named_twice_in_a_call_is_put_back_once(box: DeathBox) -> None:
    letter = one(box, box.die("B-1"))
    outcomes = [result.outcome for result in box.queue.requeue(order(), [letter.mark, letter.mark])]
    assert outcomes == [Outcome.DONE, Outcome.ALREADY]
    assert box.delivered() == [letter.origin]


def test_two_operators_at_once_put_each_item_back_once(box: DeathBox) -> None:
    letters = list(box.queue.get([box.die(f"B-{n}") for n in range(40)]))
    operations, start = (order(), order()), Barrier(2)

    def work(number: int) -> list[Result]:
        results: list[Result] = []
        with closing(box.another()) as queue:
            start.wait(20)
            for at in range(0, len(letters), 5):
                marks = [letter.mark for letter in letters[at : at + 5]]
                results += queue.requeue(operations[number], marks)
        return results

    with ThreadPoolExecutor(2) as threads:
        found = [thread.result(60) for thread in [threads.submit(work, number) for number in range(2)]]
    assert sorted(box.delivered()) == sorted(letter.origin for letter in letters)
    for mine, theirs in zip(*found, strict=True):
        assert {mine.outcome, theirs.outcome} <= {Outcome.DONE, Outcome.ALREADY, Outcome.BUSY}
        assert [mine.outcome, theirs.outcome].count(Outcome.DONE) == 1
    for number, results in enumerate(found):
        others = {result.detail for result in results if result.outcome is Outcome.ALREADY}
        assert others <= {str(operations[1 - number].operation)}


def test_what_is_not_there_is_gone(box: DeathBox) -> None:
    gone = [Result("no-such-id", Outcome.GONE)]
    assert box.queue.requeue(order(), [Mark("no-such-id")]) == gone
    assert box.queue.remove(uuid4(), [Mark("no-such-id", "0" * 40)]) == gone
    assert box.queue.replace(uuid4(), Mark("no-such-id"), box.payload("B-1")).outcome is Outcome.GONE


def test_an_item_that_changed_since_it_was_seen_is_left_alone(box: DeathBox) -> None:
    needs(box, Trait.CHANGES)
    letter, other = one(box, box.die("B-1")), one(box, box.die("B-2"))
    box.touch(letter.id)
    results = box.queue.requeue(order(), [letter.mark, other.mark])
    assert [result.outcome for result in results] == [Outcome.CHANGED, Outcome.DONE]
    assert box.queue.remove(uuid4(), [letter.mark])[0].outcome is Outcome.CHANGED
    assert box.queue.replace(uuid4(), letter.mark, box.payload("B-1")).outcome is Outcome.CHANGED
    assert box.delivered() == [other.origin]
    assert box.queue.requeue(order(), [Mark(letter.id)])[0].outcome is Outcome.DONE


def test_a_removed_item_is_gone_for_good(box: DeathBox) -> None:
    letters, operation = list(box.queue.get([box.die(f"B-{n}") for n in range(3)])), uuid4()
    removed = box.queue.remove(operation, [letters[0].mark, letters[1].mark])
    assert [result.outcome for result in removed] == [Outcome.DONE] * 2
    assert scanned(box) == [letters[2].id]
    assert box.queue.remove(operation, [letters[0].mark]) == [
        Result(letters[0].id, Outcome.ALREADY, str(operation)),
    ]
    assert box.queue.requeue(order(), [letters[0].mark])[0].outcome in {Outcome.ALREADY, Outcome.GONE}
    assert box.delivered() == []


def test_a_removed_item_comes_back_byte_for_byte(box: DeathBox) -> None:
    letter = one(box, box.die("B-1", age=1000))
    box.queue.remove(uuid4(), [letter.mark])
    assert box.queue.put([letter]) == [Result(letter.id, Outcome.DONE)]
    back = one(box, letter.id)
    assert (back.payload, back.headers, back.stored) == (letter.payload, letter.headers, letter.stored)
    assert (back.failed_at, back.origin, back.reason) == (letter.failed_at, letter.origin, letter.reason)
    assert box.queue.put([letter])[0].outcome is Outcome.EXISTS
    assert box.queue.requeue(order(), [back.mark])[0].outcome is Outcome.DONE
    assert box.delivered() == [letter.origin]


def test_an_edited_item_keeps_its_id_and_place(box: DeathBox) -> None:
    first, second = one(box, box.die("B-1", age=200)), one(box, box.die("B-2", age=100))
    payload, operation = box.payload("B-1"), uuid4()
    assert box.queue.refusal(first, payload) is None
    assert box.queue.replace(operation, first.mark, payload) == Result(first.id, Outcome.DONE)
    edited = one(box, first.id)
    assert edited.payload == payload
    assert edited.digest != first.digest
    assert scanned(box) == [first.id, second.id]
    assert box.queue.replace(operation, first.mark, payload).outcome in {Outcome.DONE, Outcome.ALREADY}
    assert box.queue.requeue(order(), [first.mark])[0].outcome is Outcome.CHANGED
    assert box.queue.requeue(order(), [edited.mark])[0].outcome is Outcome.DONE


def test_an_item_without_body_is_an_orphan(box: DeathBox) -> None:
    needs(box, Trait.LOSES_BODIES)
    lost, other = box.die("B-1", age=200), box.die("B-2", age=100)
    box.lose_body(lost)
    letter = one(box, lost)
    assert (letter.body, letter.payload) == (BodyState.MISSING, None)
    assert letter.problem
    assert scanned(box) == [lost, other]
    results = box.queue.requeue(order(), [letter.mark, one(box, other).mark])
    assert [result.outcome for result in results] == [Outcome.ORPHAN, Outcome.DONE]
    assert box.queue.replace(uuid4(), letter.mark, box.payload("B-1")).outcome is Outcome.ORPHAN
    assert box.queue.remove(uuid4(), [letter.mark])[0].outcome is Outcome.DONE
    assert box.queue.count() == 0


def test_an_unreadable_item_is_shown_and_stays(box: DeathBox) -> None:
    needs(box, Trait.SPOILS)
    spoiled, other = box.die("B-1", age=200), box.die("B-2", age=100)
    box.spoil(spoiled)
    letter = one(box, spoiled)
    assert letter.body is BodyState.UNREADABLE
    assert letter.problem
    results = box.queue.requeue(order(), [letter.mark, one(box, other).mark])
    assert [result.outcome for result in results] == [Outcome.UNREADABLE, Outcome.DONE]
    assert results[0].detail
    assert scanned(box) == [spoiled]
    assert (FaultKind.UNREADABLE, spoiled) in faults(box)


def test_an_unreadable_item_can_be_discarded_and_restored(box: DeathBox) -> None:
    needs(box, Trait.SPOILS)
    spoiled = box.die("B-1", age=200)
    box.spoil(spoiled)
    letter = one(box, spoiled)
    assert box.queue.remove(uuid4(), [letter.mark])[0].outcome is Outcome.DONE
    assert box.queue.put([letter])[0].outcome is Outcome.DONE
    assert one(box, spoiled).stored == letter.stored


def test_ids_without_body_are_mended_after_a_grace(box: DeathBox) -> None:
    needs(box, Trait.REMOVES)
    old, fresh = box.die("B-1", age=500), box.die("B-2")
    for lost in (old, fresh):
        box.lose_body(lost)
    assert [subject for kind, subject in faults(box) if kind is FaultKind.NO_BODY] == [old]
    assert scanned(box) == [old, fresh]
    told: list[Fault] = []
    assert box.queue.mend(60.0, told.append) == len(told)
    assert [bool(fault.fix) for fault in told if fault.subject == old] == [True]
    assert (faults(box), scanned(box)) == ([], [fresh])


def test_nothing_happens_for_no_marks(box: DeathBox) -> None:
    queue = box.queue
    assert (queue.requeue(order(), []), queue.remove(uuid4(), []), queue.put([])) == ([], [], [])
    assert list(queue.get([])) == []


def test_the_count_of_requeues_comes_back_with_a_restored_item(box: DeathBox) -> None:
    letter = one(box, box.die("B-1"))
    box.queue.requeue(order(), [letter.mark])
    dead = one(box, box.die_again(letter.origin))
    box.queue.remove(uuid4(), [dead.mark])
    box.queue.put([dead])
    assert one(box, dead.id).requeues == 1

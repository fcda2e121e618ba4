"""BookingQueue: what every booking queue does, in memory and in Redis."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest

from support.booking_queues import QUEUE_BOXES, QueueBox, make_queue_box
from support.waiting import eventually
from ticketops.domain.booking_work import Doomed, Marks, Taken, letter_of
from ticketops.domain.consuming import Reason
from ticketops.domain.wire.items import read_item
from ticketops.errors import WorkerReplaced
from ticketops.ports.booking_queue import Batch, BookingQueue, Buried, Done, Later, Returned, TakeOrder

SOON = 0.05


@pytest.fixture(params=sorted(QUEUE_BOXES))
def box(request: pytest.FixtureRequest) -> Iterator[QueueBox]:
    with closing(make_queue_box(request.param, request.getfixturevalue)) as made:
        yield made


def take(queue: BookingQueue, limit: int = 10, hand: int = 0, **more: object) -> Batch:
    return queue.take(TakeOrder(hand=hand, limit=limit, shows=sorted(queue.shows()), **more))  # type: ignore[arg-type]


def ids(batch: Batch) -> list[str]:
    return [read_item(taken.data).id for taken in batch.items]


def again(queue: BookingQueue, **more: object) -> Taken:
    """Wait until the one item that is away comes back."""
    (taken,) = eventually(lambda: take(queue, **more).items)
    return taken


def test_an_empty_queue_has_nothing(box: QueueBox) -> None:
    queue = box.queue()
    assert queue.enter() == 0
    batch = take(queue)
    assert (batch.items, batch.served, batch.empty) == ([], [], [])
    assert (queue.shows(), list(queue.peek()), queue.settle([]), queue.renew([])) == ([], [], [], 0)


def test_items_come_in_their_order_and_leave_no_note(box: QueueBox) -> None:
    queue = box.queue()
    queue.enter()
    added = [box.add() for _ in range(3)]
    assert box.noted("E1", added[0]) == (True, True, True)
    batch = take(queue, 2)
    assert ids(batch) == added[:2]
    assert {(taken.attempt, taken.show) for taken in batch.items} == {(1, "E1")}
    assert box.noted("E1", added[0]) == box.noted("E1", added[1]) == (False, False, False)
    assert box.noted("E1", added[2]) == (True, True, True)
    assert queue.shows() == ["E1"]
    assert queue.settle([Done(taken) for taken in batch.items]) == [True, True]
    assert ids(take(queue)) == added[2:]
    assert queue.shows() == []
    assert queue.figures().held == 1


def test_shows_take_turns(box: QueueBox) -> None:
    queue = box.queue()
    for show in "AAABC":
        box.add(show)
    batch = queue.take(TakeOrder(hand=0, limit=4, shows=["C", "A", "B", "Z"]))
    assert [taken.show for taken in batch.items] == ["C", "A", "B", "A"]
    assert batch.served == ["C", "A", "B", "A"]
    assert "Z" in batch.empty


def test_the_oldest_comes_first_where_that_is_asked_for(box: QueueBox) -> None:
    queue = box.queue()
    added = [box.add(show) for show in "CABAC"]
    assert ids(queue.take(TakeOrder(hand=0, limit=9, shows=["A", "B", "C"], oldest=True))) == added
    assert queue.shows() == []


def test_an_item_in_hand_comes_again_when_its_lease_ends(box: QueueBox) -> None:
    dying, other = box.queue(lease=SOON), box.queue()
    box.add()
    (first,) = take(dying).items
    second = again(other)
    assert (second.receipt, second.attempt, second.data) == (first.receipt, 2, first.data)
    assert dying.settle([Done(first)]) == [False]
    assert dying.renew([first]) == 0
    assert other.settle([Done(second)]) == [True]
    assert other.settle([Done(second)]) == [False]
    assert other.figures().held == 0


def test_a_renewed_lease_lasts(box: QueueBox) -> None:
    slow, other = box.queue(lease=4.0), box.queue()
    box.add()
    held = take(slow).items
    ends = datetime.now(UTC).timestamp() + 4.5
    while datetime.now(UTC).timestamp() < ends:
        assert slow.renew(held) == 1
        assert take(other).items == []
    assert slow.settle([Done(held[0])]) == [True]


def test_a_later_attempt_waits_and_goes_to_anybody(box: QueueBox) -> None:
    one, other = box.queue(), box.queue()
    box.add()
    (taken,) = take(one).items
    assert one.settle([Later(taken, 2.0)]) == [True]
    assert take(other).items == []
    assert (one.figures().waiting, one.figures().held) == (1, 0)
    assert again(other).attempt == 2


def test_an_attempt_that_was_not_made_is_not_counted(box: QueueBox) -> None:
    queue = box.queue()
    box.add()
    (taken,) = take(queue).items
    queue.settle([Later(taken, 0.0, counts=False)])
    assert again(queue).attempt == 1


def test_what_waits_does_not_keep_others_waiting(box: QueueBox) -> None:
    queue = box.queue()
    for _ in range(4):
        box.add("A")
    queue.settle([Later(taken, 0.0) for taken in take(queue).items])
    added = [box.add("B") for _ in range(4)]
    batch = queue.take(TakeOrder(hand=0, limit=4, shows=["B"], waiting_first=True))
    assert [taken.show for taken in batch.items].count("B") == 2
    batch = queue.take(TakeOrder(hand=0, limit=2, shows=["B"], waiting_first=False))
    assert ids(batch) == added[2:]


def test_a_dead_letter_is_written_with_the_removal(box: QueueBox) -> None:
    queue = box.queue()
    box.add()
    (taken,) = take(queue).items
    doomed = Doomed(taken, read_item(taken.data), Reason.SERVICE_ERROR, "no", 1)
    letter = letter_of(doomed, datetime.now(UTC))
    assert queue.settle([Buried(taken, letter, "service_error")]) == [True]
    assert box.letters() == {letter.id: (letter.body, "service_error")}
    assert queue.settle([Buried(taken, letter, "service_error")]) == [False]
    assert queue.figures().held == 0


def test_what_nobody_tried_goes_back_to_where_it_was(box: QueueBox) -> None:
    queue = box.queue()
    added = [box.add() for _ in range(3)]
    (taken, second) = take(queue, 2).items
    marks = [Marks(id_, 1_700_000_000_000_000_000, 1_900_000_000) for id_ in added]
    assert queue.settle([Returned(second, marks[1]), Returned(taken, marks[0])]) == [True, True]
    assert [read_item(data).id for data in box.queued("E1")] == added
    assert box.noted("E1", added[0]) == (True, True, True)
    assert queue.shows() == ["E1"]


def test_a_paused_show_keeps_its_items(box: QueueBox) -> None:
    queue = box.queue()
    box.add("A")
    queue.settle([Later(taken, 0.0) for taken in take(queue).items])
    box.add("B")
    batch = queue.take(TakeOrder(hand=0, limit=5, shows=["B"], paused=["A"]))
    assert [taken.show for taken in batch.items] == ["B"]
    assert queue.take(TakeOrder(hand=0, limit=5, shows=[], paused=["A"], everything=True)).items[0].attempt == 2


def test_items_that_are_no_json_can_be_taken(box: QueueBox) -> None:
    queue = box.queue()
    raw = [b"{not json", b"\xff\xfe", b"[1,2]", b'{"ID":5}', b"", b'"x"']
    for data in raw[:4] + raw[5:]:
        box.add("E1", data)
    assert [taken.data for taken in take(queue).items] == raw[:4] + raw[5:]


def test_what_a_lost_answer_took_is_recovered_uncounted(box: QueueBox) -> None:
    queue = box.queue()
    box.add()
    take(queue, hand=3)
    assert queue.recover(2) == 0
    assert queue.recover(3) == 1
    assert again(queue).attempt == 1


def test_a_worker_that_is_back_has_its_items_at_once(box: QueueBox) -> None:
    dead, other, back = box.queue("w1"), box.queue("w11"), box.queue("w1")
    dead.enter()
    other.enter()
    for _ in range(3):
        box.add()
    take(dead, 2)
    take(other, 1)
    assert back.enter() == 2
    assert [taken.attempt for taken in take(back).items] == [2, 2]
    with pytest.raises(WorkerReplaced):
        take(dead)
    back.leave()
    dead.leave()


def test_peeking_changes_nothing(box: QueueBox) -> None:
    queue = box.queue()
    added = [box.add() for _ in range(450)]
    assert [read_item(taken.data).id for taken in queue.peek()] == added
    assert queue.figures().queued == 450


def test_many_hands_take_each_item_once(box: QueueBox) -> None:
    added = [box.add(show) for show in "ABCD" * 50]
    taken: Counter[str] = Counter()

    def work(number: int) -> list[str]:
        queue, found = box.queue(), list[str]()
        while batch := take(queue, 3, number).items:
            found += [read_item(one.data).id for one in batch]
            assert all(queue.settle([Done(one) for one in batch]))
        return found

    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(work, range(4)):
            taken.update(found)
    assert taken == Counter(added)

"""Dead letters by the hundred thousand: read on as the cursor comes near, bounded in memory, steady under the hand."""

import threading
import tracemalloc
from array import array
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from support.dashboard_sources import Known
from support.dashboards import INCIDENT, Scripted, go, run, settled, shown
from support.waiting import eventually
from ticketops.backends.memory.deadletters import MemoryDeadLetterQueue
from ticketops.domain.deadletters import DeadLetter, Narrowing, QueueKind
from ticketops.domain.fingerprint import group_of
from ticketops.domain.operations import FrozenItem
from ticketops.errors import BackendUnavailable
from ticketops.tui.packed import PackedRows, Page, Picked, matching, ordered, place_of
from ticketops.tui.reader import Progress, Reader
from ticketops.tui.screens.letters import ItemsScreen
from ticketops.tui.screens.long import STEP
from ticketops.tui.table import LineTable, Row

START = datetime(2026, 11, 1, tzinfo=UTC)
BYTES = 120
"""A row may take, with 36 characters of id, a key and an error."""


def letter(number: int) -> DeadLetter:
    return DeadLetter(
        id=f"0b1c2d3e-0000-4000-8000-{number:012}",
        queue="bookings",
        kind=QueueKind.REDIS,
        key=f"BK-{number % 977}",
        origin=str(number),
        reason="timeout",
        error_message=f"504 Gateway Timeout from pay.example after {number % 7} s",
        failed_at=START + timedelta(seconds=number),
    )


class Many(MemoryDeadLetterQueue):
    """A queue of as many as it is told, made when they are read."""

    def __init__(self, known: "Crowd") -> None:
        super().__init__(known.deaths)
        self._known = known

    def scan(self, narrowing: Narrowing) -> Iterator[DeadLetter]:
        assert not narrowing.bodies
        known = self._known
        known.scans += 1
        try:
            for number in range(known.first, known.count):
                if number == known.breaks_at:
                    raise BackendUnavailable("redis", why="it went away")
                known.read += 1
                yield letter(number)
        finally:
            known.ended += 1


class Crowd(Known):
    """Many dead letters of one cause."""

    first = 0
    count = 30_000
    breaks_at = -1
    scans = ended = read = 0

    def _queue(self) -> MemoryDeadLetterQueue:
        return self._up("dlq", Many(self))


GROUP = group_of(letter(0)).id


def table(pilot: Any) -> LineTable:
    found: LineTable = pilot.app.screen.query_one(LineTable)
    return found


async def opened(pilot: Any, feed: Scripted) -> ItemsScreen:
    feed.say(INCIDENT)
    await go(pilot, f"dlq bookings {GROUP}")
    await settled(pilot, lambda: bool(table(pilot).key) and "bookings, group" in shown(pilot))
    screen: ItemsScreen = pilot.app.screen
    return screen


def numbered(key: str) -> int:
    return int(key.rpartition("-")[2])


def test_a_long_list_is_read_on_as_the_cursor_comes_near_its_end_and_all_of_it_scrolls() -> None:
    known = Crowd()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await opened(pilot, feed)
        await settled(pilot, lambda: "5 000 read so far" in shown(pilot))
        assert known.read <= STEP + 1
        for _ in range(10):
            await pilot.press("G")
            await pilot.pause(0.05)
        await settled(pilot, lambda: "─ 30 000 ─" in shown(pilot))
        await pilot.press("G")
        await settled(pilot, lambda: f"{29_999:012}" in shown(pilot))
        assert known.ended == known.scans
        await pilot.press("g")
        await pilot.pause()
        assert numbered(table(pilot).key) == 0

    run(scene, known=known)


def test_the_cursor_and_what_is_seen_stay_while_rows_come() -> None:
    known = Crowd()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await opened(pilot, feed)
        await settled(pilot, lambda: "5 000 read so far" in shown(pilot))
        await pilot.press("G", "k", "k")
        key, lines = table(pilot).key, shown(pilot).splitlines()[3:-2]
        await settled(pilot, lambda: "10 000 read so far" in shown(pilot))
        assert table(pilot).key == key
        assert shown(pilot).splitlines()[3:-2] == lines

    run(scene, known=known)


def test_leaving_ends_the_reading() -> None:
    known = Crowd()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await opened(pilot, feed)
        await settled(pilot, lambda: "5 000 read so far" in shown(pilot))
        assert (known.scans, known.ended) == (1, 0)
        await pilot.press("escape")
        await settled(pilot, lambda: known.ended == 1)
        assert not [thread for thread in threading.enumerate() if thread.name == "reader" and thread.is_alive()]

    run(scene, known=known)


def test_the_filter_reads_on_until_it_has_enough_and_ending_it_keeps_the_row() -> None:
    known = Crowd()

    async def scene(pilot: Any, feed: Scripted) -> None:
        await opened(pilot, feed)
        await pilot.press("slash", *"BK-500")
        await settled(pilot, lambda: "31 with “BK-500”, 30 000" in shown(pilot))
        await pilot.press("enter", "G")
        key = table(pilot).key
        assert numbered(key) == 500 + 30 * 977
        await pilot.press("escape")
        await settled(pilot, lambda: "with" not in shown(pilot).splitlines()[1])
        assert table(pilot).key == key
        assert f"{numbered(key):012}" in shown(pilot)

    run(scene, known=known)


def test_an_order_is_of_what_was_read_and_says_so() -> None:
    async def scene(pilot: Any, feed: Scripted) -> None:
        await opened(pilot, feed)
        await settled(pilot, lambda: "5 000 read so far" in shown(pilot))
        key = table(pilot).key
        await pilot.press("s", "s")
        await settled(pilot, lambda: "5 000 read so far, by KEY ─" in shown(pilot))
        assert table(pilot).key == key
        await pilot.press("G")
        await settled(pilot, lambda: "BK-99 " in shown(pilot))
        await pilot.press("s")
        await settled(pilot, lambda: "by AGE ─" in shown(pilot))
        await pilot.press("g")
        await settled(pilot, lambda: numbered(table(pilot).key) == 0)

    run(scene, known=Crowd())


def test_reading_again_keeps_the_row_and_drops_marks_of_what_is_gone() -> None:
    known = Crowd()
    known.count = 3000

    async def scene(pilot: Any, feed: Scripted) -> None:
        await opened(pilot, feed)
        await settled(pilot, lambda: "─ 3 000 ─" in shown(pilot))
        await pilot.press("space", "space", "G", "space")
        key = table(pilot).key
        await settled(pilot, lambda: "3 marked" in shown(pilot))
        known.first = 1
        await pilot.press("r")
        await settled(pilot, lambda: "─ 2 999, 2 marked ─" in shown(pilot))
        assert table(pilot).key == key
        assert sorted(numbered(row.key) for row in pilot.app.screen.chosen()) == [1, 2999]

    run(scene, known=known)


def test_what_was_read_before_an_error_stays() -> None:
    known = Crowd()
    known.breaks_at = 7000

    async def scene(pilot: Any, feed: Scripted) -> None:
        await opened(pilot, feed)
        await settled(pilot, lambda: "5 000 read so far" in shown(pilot))
        await pilot.press("G")
        await settled(pilot, lambda: "7 000 read, not the rest: " in shown(pilot))
        known.breaks_at = 10
        await pilot.press("r")
        await settled(pilot, lambda: known.scans == 2 and known.ended == 2)
        await pilot.pause()
        assert len(pilot.app.screen._rows) == 7000

    run(scene, known=known)


def test_causes_are_shown_as_far_as_they_were_read() -> None:
    known = Crowd()

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: "30 000 items ─" in shown(pilot))
        await pilot.press("enter")
        await settled(pilot, lambda: "5 000 of 30 000 read so far" in shown(pilot))

    run(scene, known=known)


def row(fields: Any) -> Row:
    return Row(fields[0], tuple(map(str, fields)))


def pages(count: int) -> list[Page]:
    rows = [(f"id{n}", n % 10, "é\ud800\n" if n % 2 else "plain") for n in range(count)]
    return [Page.of(rows[start : start + 100]) for start in range(0, count, 100)]


def test_packed_rows_are_what_was_put_in() -> None:
    packed = PackedRows(row)
    packed.add(pages(950))
    assert len(packed) == 950
    assert packed[0].key == "id0"
    assert packed[949].cells == ("id949", "9", "é\ud800\n")
    with pytest.raises(IndexError):
        packed[950]


def test_rows_are_found_and_ordered() -> None:
    known = pages(300)
    assert list(matching(known, "ID29")) == [29, *range(290, 300)]
    assert list(matching(known[1:], "é", 100)) == list(range(101, 300, 2))
    by_number = ordered(known, lambda fields: float(fields[1]), None)
    assert list(by_number[:2]) == [9, 19]
    by_text = ordered(known, lambda fields: fields[2] if fields[1] else None, array("Q", [0, 3, 4]))
    assert list(by_text) == [4, 3, 0]
    assert place_of(known, by_number, "id19") == 1
    assert place_of(known, array("Q", [3]), "id19") is None
    packed = PackedRows(row)
    packed.add(known)
    assert Picked(packed, by_number)[1].key == "id19"


def test_a_row_takes_few_bytes() -> None:
    count = 20_000
    items = ((one.id, one.key, 1.0, 0, one.error_message) for one in map(letter, range(count)))
    packed = PackedRows(row)
    tracemalloc.start()
    try:
        page: list[Any] = []
        for fields in items:
            page.append(fields)
            if len(page) == 256:
                packed.add([Page.of(page)])
                page = []
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / count < BYTES


def test_a_reader_waits_where_nobody_wants_more_and_ends_when_it_is_left() -> None:
    told: list[Progress] = []
    ended = threading.Event()

    def items() -> Any:
        try:
            yield from range(1_000_000)
        finally:
            ended.set()

    reader: Reader[int] = Reader(items, lambda one: (str(one),), lambda _, said: told.append(said), sought={"7"})
    reader.want(600)
    eventually(lambda: told and told[-1].waiting, 20)
    assert sum(page.count for said in told for page in said.pages) == 600
    assert told[-1].met == {"7": 7}
    reader.stop()
    assert ended.wait(20)
    assert not any(said.ended for said in told)


def test_foreign_text_in_a_row_is_safe() -> None:
    evil = replace(letter(1), id="a\x1b[31m", key="[/red]\u202e", error_message="\x00\ud800")
    screen = ItemsScreen("bookings", GROUP, Crowd().sources().letters)
    made = screen.made(screen.packed(evil))
    assert made.key == "a\x1b[31m"
    assert all(cell.isprintable() for cell in made.cells)


def test_an_operation_shows_every_item_however_many() -> None:
    known = Known()
    (before,) = known.operations.recent(limit=1)
    many = replace(before, id=uuid4(), created_at=before.created_at + timedelta(seconds=1))
    items = [FrozenItem(queue="bookings", id=f"id-{n}", digest="", origin=str(n), key="k") for n in range(12_000)]
    known.operations.create(many, items)

    async def scene(pilot: Any, feed: Scripted) -> None:
        feed.say(INCIDENT)
        await go(pilot, f"ops {many.id}")
        await settled(pilot, lambda: "of 12 000 read so far" in shown(pilot))
        while "─ 12 000 ─" not in shown(pilot):
            await pilot.press("G")
            await pilot.pause(0.05)
        await pilot.press("G")
        await settled(pilot, lambda: " 12000  -" in shown(pilot))

    run(scene, (120, 40), known)

"""Bars of minutes, and stepping back through snapshots."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from support.snapshots import NOW, OUTBOX, RELAY, everything, group, said
from ticketops.domain.lag.verdicts import Grade, Verdict
from ticketops.domain.overview.check import Check, Thresholds
from ticketops.domain.overview.links import links
from ticketops.domain.overview.snapshot import OutboxFigures
from ticketops.services.overview.collector import Collector
from ticketops.services.overview.past import Past
from ticketops.services.overview.status import Overview, dump
from ticketops.services.overview.trail import Trail

AREAS = ("lag", "outbox", "relay", "dlq", "state", "compensations")
LINE = Check(area="outbox", subject="pending", value=3.0)


def test_a_bar_is_the_greatest_value_of_its_minute_and_none_where_nobody_looked() -> None:
    trail = Trail(120)
    trail.add(NOW, [LINE])
    trail.add(NOW - timedelta(minutes=2), [replace(LINE, value=7.0), replace(LINE, value=5.0)])
    assert trail.at(NOW)["outbox", "pending"][-3:] == (7.0, None, 3.0)
    assert trail.at(NOW - timedelta(minutes=2))["outbox", "pending"][-1] == 7.0


def test_old_minutes_are_dropped() -> None:
    trail = Trail(5)
    trail.add(NOW - timedelta(minutes=5), [LINE])
    trail.add(NOW, [LINE])
    assert trail.at(NOW - timedelta(minutes=5)) == {}


def test_steps_through_the_past_end_at_its_ends() -> None:
    past = Past(timedelta(hours=2))
    moments = [NOW + timedelta(minutes=n) for n in (-200, -2, 0, -1)]
    for moment in moments:
        past.add(moment, moment.isoformat().encode())
    found = [past.near(NOW, steps) for steps in (-1, -2, -9, 1)]
    assert [at for at, _ in filter(None, found)] == [NOW + timedelta(minutes=n) for n in (-1, -2, -2, 0)]
    assert Past(timedelta(hours=2)).near(NOW, -1) is None


class Kept:
    """A ring that another run has filled."""

    place = "memory"

    def __init__(self, *entries: tuple[datetime, bytes]) -> None:
        self.entries = list(entries)

    def append(self, _: str, at: datetime, body: bytes, keep: timedelta) -> None:
        assert keep
        self.entries.append((at, body))

    def since(self, _: str, moment: datetime, *, most: int | None = None) -> Iterator[tuple[datetime, bytes]]:
        assert most is None
        return iter([entry for entry in self.entries if entry[0] >= moment])

    def near(self, _: str, moment: datetime, within: timedelta) -> tuple[datetime, bytes] | None:
        known = [entry for entry in self.entries if abs(entry[0] - moment) <= within]
        return min(known, key=lambda entry: abs(entry[0] - moment), default=None)

    def close(self) -> None:
        """Nothing to give up."""


class Asked:
    """A part that answers at once."""

    place = ("outbox",)

    def read(self, timeout: float) -> OutboxFigures:
        assert timeout
        return OUTBOX

    def close(self) -> None:
        """Nothing to give up."""


def test_what_an_earlier_run_left_can_be_stepped_through() -> None:
    then = NOW - timedelta(minutes=1)
    before = replace(everything(outbox=said(replace(OUTBOX, pending=9))), at=then)
    ring = Kept((then, dump(before)), (then - timedelta(minutes=1), b"something else"))
    overview = Overview(Collector([Asked()], context="x", timeout=1, now=lambda: NOW), Thresholds(), ring)
    overview.look()
    overview.recall()
    found = overview.around(NOW, -1)
    assert found is not None
    assert found.snapshot.at == then
    assert found.trails["outbox", "pending"][-1] == 9.0
    again = overview.around(found.snapshot.at, 1)
    assert again is not None
    assert again.snapshot.at == NOW


def test_a_first_look_that_waits_for_nobody_is_no_base_of_trends() -> None:
    moments, late = iter([NOW + timedelta(seconds=5 * n) for n in range(9)]), Late()
    now = [next(moments)]
    overview = Overview(Collector([late], context="x", timeout=60, now=lambda: now[0]), Thresholds())
    overview.look(0.0)
    late.ready.set()
    for _ in range(2):
        now[0] = next(moments)
        overview.look()
    now[0] = next(moments)
    (line, *_) = overview.look().lines

    assert (line.area, line.trend) == ("outbox", 0.0)


class Late(Asked):
    """A part that answers when it is let."""

    def __init__(self) -> None:
        self.ready = threading.Event()

    def read(self, timeout: float) -> OutboxFigures:
        self.ready.wait()
        return super().read(timeout)


def test_every_area_has_its_links() -> None:
    relay = said(replace(RELAY, live=0))
    snapshot = everything(relay=relay, lag=said((group(Verdict.STOP, 7),)))
    found = {area: list(links(Check(area=area, subject="x", grade=Grade.BAD), snapshot)) for area in AREAS}
    stopped, waits = "group email-worker is STOP, 7 records behind", "3 events wait in the outbox"
    assert found["outbox"] == ["no relay lives"]
    assert found["relay"] == [waits]
    assert found["dlq"] == [stopped]
    assert found["state"] == ["no relay lives", waits, stopped]
    assert found["lag"] == found["compensations"] == []
    assert list(links(Check(area="state", subject="x"), snapshot)) == []


def test_events_of_an_earlier_run_are_known_and_later_ones_join_them() -> None:
    moments = [NOW - timedelta(minutes=n) for n in (30, 20, 10)]
    lags = [said((group(verdict),)) for verdict in (Verdict.OK, Verdict.STOP, Verdict.OK)]
    kept = Kept(*((at, dump(replace(everything(lag=lag), at=at))) for at, lag in zip(moments, lags, strict=True)))
    overview = Overview(Collector([Asked()], context="default", timeout=5, now=lambda: NOW), Thresholds(), kept)
    assert overview.look().events == ()
    overview.recall()
    events = overview.look().events
    assert [(event.at, event.before, event.after) for event in events] == [
        (moments[2], "STOP", "OK"),
        (moments[1], "OK", "STOP"),
    ]
    earlier = overview.around(NOW, -2)
    assert earlier is not None
    assert [event.after for event in earlier.events] == ["STOP"]
    overview.close()


def test_a_look_at_which_no_part_had_anything_new_is_the_last_one_again() -> None:
    said_so = [3]

    class Told:
        place = ("outbox",)

        def read(self, _: float) -> object:
            return replace(OUTBOX, pending=said_so[0])

        def close(self) -> None:
            """Nothing to give up."""

    def looked(every: float) -> bool:
        moments = iter(NOW + timedelta(seconds=n) for n in range(99))
        collector = Collector([Told()], context="x", timeout=60, now=lambda: next(moments), every=every)
        overview = Overview(collector, Thresholds())
        first = overview.look()
        return overview.look() is first

    assert looked(every=600.0)
    assert not looked(every=0.0)

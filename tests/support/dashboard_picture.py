"""The pictures of the docs: `PYTHONPATH=tests python -m support.dashboard_picture docs`."""

import asyncio
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from textual.widgets import Input

from support.dashboard_sources import Known
from support.dashboards import Scripted, dashboard, go, settled, shown
from support.snapshots import LETTERS, OUTBOX, STATES, everything, group, said
from ticketops.domain.deadletters import DeadLetter, QueueKind
from ticketops.domain.lag.ages import Age
from ticketops.domain.lag.verdicts import Judgment, Verdict
from ticketops.domain.overview.check import Thresholds, Trends
from ticketops.domain.overview.checks import checks
from ticketops.domain.overview.snapshot import GroupLag, PartitionLag, Snapshot
from ticketops.services.overview.status import Status

SIZE: Final = (100, 28)
_ELSEWHERE = re.compile(r"@font-face\s*\{[^}]*\}|<!--.*?-->")
"""Fonts would be fetched from another host, and comments name one."""
_CAUSES: Final = (
    (1204, "max_retries_exceeded", "the booking service failed: HTTP 504 pay.example: POST /v2/capture"),
    (312, "timeout", "the booking service gave no answer in time: 10.0 s"),
    (97, "service_error", "inventory answered 409: seats C12, C13 are taken"),
    (22, "invalid_data", "user 1893 has no payment method"),
)
_TRENDS: Final = {
    ("lag", "email-worker"): 98.0,
    ("dlq", "bookings"): 0.63,
    ("outbox", "pending"): 12.0,
    ("state", "PAYMENT_PENDING"): 0.05,
}


def pictures() -> Iterator[tuple[str, str]]:
    """Name and SVG of each."""
    yield "dashboard.svg", asyncio.run(_home())
    yield "dashboard-plan.svg", asyncio.run(_plan())


async def _home() -> str:
    feed = Telling()
    app = dashboard(feed, Known())
    async with app.run_test(size=SIZE) as pilot:
        feed.say(incident())
        await settled(pilot, lambda: "X STOP" in shown(pilot))
        return _drawn(app)


async def _plan() -> str:
    """What requeuing a group would do, over the groups."""
    feed, known = Telling(), Known(queue="bookings")
    known.deaths.letters.clear()
    for letter in letters():
        known.deaths.add(letter)
    app = dashboard(feed, known)
    async with app.run_test(size=SIZE) as pilot:
        feed.say(incident())
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: "POST" in shown(pilot))
        await pilot.press("W", "R")
        await settled(pilot, lambda: "at which pace" in shown(pilot))
        app.screen.query_one(Input).value = "--rate 50/s --canary 20"
        await pilot.press("enter")
        await settled(pilot, lambda: "the same as" in shown(pilot))
        await pilot.press(*"PROD-EU", "space", *"12")
        await pilot.pause()
        return _drawn(app)


def _drawn(app: Any) -> str:
    return _ELSEWHERE.sub("", app.export_screenshot(title="ticketops tui"))


class Telling(Scripted):
    """A feed with trends and bars as an incident has them."""

    def say(self, snapshot: Snapshot) -> None:
        lines = checks(snapshot, Thresholds(), Trends(_TRENDS))
        trails = {(line.area, line.subject): _bars(line.value or 0.0, line.grade == "bad") for line in lines}
        self.told(Status(snapshot, lines, 300.0, trails=trails))


def _bars(value: float, steep: bool) -> Sequence[float]:
    return [value * (minute / 9) ** (2 if steep else 0.5) for minute in range(10)]


def incident() -> Snapshot:
    """A quarter to an hour after the payment provider went down and the consumer of emails died."""
    waits = replace(STATES, stuck={"PAYMENT_PENDING": 17}, oldest={"PAYMENT_PENDING": 2468.0})
    dead = replace(
        LETTERS,
        depth=1635,
        oldest_seconds=10_920.0,
        arrivals={"5m": 190, "1h": 1635},
        reasons={reason: count for count, reason, _ in _CAUSES},
    )
    found = everything(
        lag=said((stopped(), replace(group(Verdict.OK), group="booking-service"))),
        outbox=said(replace(OUTBOX, pending=8911, oldest_seconds=252.0)),
        dead_letters={
            "bookings": said(dead),
            "payments": said(replace(LETTERS, queue="payments", kind="kafka")),
        },
        states={"booking": said(waits)},
    )
    return replace(found, at=datetime.now(UTC))


def stopped() -> GroupLag:
    """A group whose members are gone."""
    behind = Judgment(verdict=Verdict.STOP, lag=41_203)
    parts = tuple(
        PartitionLag(
            topic="booking-events",
            partition=number,
            judgment=replace(behind, lag=lag),
            committed=committed,
            start=0,
            end=committed + lag,
            age=Age(760.0 - number * 4, exact=True),
            drain_seconds=None,
            rate=None,
            sparkline=tuple(lag * step // 13 for step in range(14)),
        )
        for number, (committed, lag) in enumerate(((1_204_311, 13_729), (1_198_204, 13_912), (1_201_877, 13_562)))
    )
    return GroupLag(group="email-worker", kind="classic", state="empty", members=0, partitions=parts, judgment=behind)


def letters() -> Iterator[DeadLetter]:
    """Dead letters of four causes."""
    draw, now = random.Random(7), datetime.now(UTC)  # noqa: S311 - a picture, the same every time
    for count, reason, message in _CAUSES:
        for _ in range(count):
            item = f"{draw.getrandbits(64):016x}"
            yield DeadLetter(
                id=f"dlq:{item}:{draw.getrandbits(60)}",
                queue="bookings",
                kind=QueueKind.REDIS,
                key=item,
                origin=item,
                reason=reason,
                error_message=message,
                failed_at=now - timedelta(seconds=draw.randint(4, 2400)),
                payload=b"{}",
                destination=f"booking-queue:show-{draw.randint(1, 4)}",
            )


if __name__ == "__main__":
    for name, drawn in pictures():
        (Path(sys.argv[1]) / name).write_text(drawn, encoding="utf-8")

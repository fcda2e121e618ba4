"""Bookings by state, stuck and expired, among a million: what a snapshot asks, beside the bare count by the index."""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final, LiteralString

from benchmarks.figures import spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Connection, Database, Stage
from ticketops.backends.postgres.states import PostgresStateView
from ticketops.domain.bookings import BOOKING
from ticketops.options import PostgresOptions, StateOptions
from ticketops.services.overview.states import figures

NAME = "state-counts"
TITLE = "bookings by state, stuck and expired, as a snapshot and `state stuck` ask for them"
SECONDS = 600
_GOAL: Final = Goal(100, at_least=False)
"""Milliseconds."""
_SHARES: Final = (1, 10)
"""Bookings in a hundred that are under way."""
_SHOWN: Final = 20

_EMPTY: LiteralString = "TRUNCATE booking.bookings, booking.booking_seats, booking.booking_state_transitions"
_BOOKINGS: LiteralString = """
INSERT INTO booking.bookings (booking_id, booking_reference, user_id, event_id, total_amount, seat_count, status,
  payment_status, created_at, updated_at, expires_at)
SELECT gen_random_uuid(), 'BK-' || n, 'U-' || n, 'E-' || n %% 100, 99.90, 2,
  CASE WHEN n > %(settled)s OR n %% 1000 = 0 THEN 'PAYMENT_PENDING' ELSE 'CONFIRMED' END, 'PENDING', at, at,
  at + interval '15 minutes'
FROM (SELECT n, now() - CASE WHEN n %% 1000 = 0 THEN interval '1 hour' ELSE n %% 800 * interval '1 second' END AS at
      FROM generate_series(1, %(count)s) n) rows"""
"""The newest are under way; of all, one in a thousand has waited for an hour."""
_HISTORY: LiteralString = """
INSERT INTO booking.booking_state_transitions (transition_id, booking_id, from_state, to_state, event, created_at)
SELECT gen_random_uuid(), booking_id, 'SEATS_RESERVED', status, 'REQUEST_PAYMENT', updated_at FROM booking.bookings"""
_SETTLE: LiteralString = "VACUUM ANALYZE booking.bookings, booking.booking_state_transitions"
_BARE: LiteralString = """
SELECT status, count(*), count(*) FILTER (WHERE expires_at <= now()) FROM booking.bookings
WHERE status NOT IN ('CANCELLED', 'CONFIRMED', 'EXPIRED', 'FAILED') GROUP BY 1"""

BARE = "bare count by the index"
SNAPSHOT = "a snapshot's figures"
STUCK = "state stuck"
EVERY = "every booking counted (state stats)"


def run(stage: Stage, scale: Scale) -> Report:
    """Measure all of them in turn, with few and with many bookings under way."""
    database, count, rounds = stage.database(), scale.of(1_000_000, 20_000), scale.of(21, 5)
    database.upgrade()
    found, verdicts = [], []
    for share in _SHARES:
        _fill(database, count, share)
        times = _measured(database, rounds)
        for name, taken in times.items():
            found.append(Figure(f"{name}, {share} % under way", spread(taken), "ms"))
            if name in {SNAPSHOT, STUCK}:
                verdicts.append(Verdict(f"{name}, {share} % under way", spread(taken), "ms", _GOAL))
    stage.drop(database)
    notes = [f"{count:,} bookings, each with its last transition; one in a thousand is older than its limit allows."]
    return Report(NAME, TITLE, found, verdicts, notes)


def _fill(database: Database, count: int, share: int) -> None:
    with database.connect() as connection:
        connection.execute(_EMPTY)
        connection.execute(_BOOKINGS, {"count": count, "settled": count - count * share // 100})
        for statement in (_HISTORY, _SETTLE):
            connection.execute(statement)


def _measured(database: Database, rounds: int) -> Mapping[str, list[float]]:
    options, limits = StateOptions(), StateOptions().limits
    view = PostgresStateView(BOOKING, PostgresOptions(url=database.url), options.places)
    times: dict[str, list[float]] = {}
    with closing(view), database.connect() as connection:
        ways: Mapping[str, Callable[[], object]] = {
            BARE: lambda: _bare(connection),
            SNAPSHOT: lambda: figures(view, BOOKING, limits),
            STUCK: lambda: view.waiting(limits, limit=_SHOWN),
            EVERY: view.states,
        }
        for way in ways.values():  # the layout is looked at once, and pages are in memory afterwards
            way()
        for _ in range(rounds):
            for name, way in ways.items():
                started = time.perf_counter()
                way()
                times.setdefault(name, []).append((time.perf_counter() - started) * 1000)
    return times


def _bare(connection: Connection) -> object:
    return connection.execute(_BARE).fetchall()

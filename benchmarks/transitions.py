"""Transitions with history and outbox in one transaction, against the bare statements."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, LiteralString
from uuid import uuid4

from benchmarks.figures import ratios, spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Database, Stage
from ticketops.backends.postgres.transitions import PostgresTransitions
from ticketops.domain.bookings import BOOKING
from ticketops.domain.subjects import Field
from ticketops.options import OutboxOptions, PostgresOptions, StateOptions

NAME = "transitions"
TITLE = "transitions/s: PAYMENT_CAPTURED with history row and outbox event, one connection, fsync on"
SECONDS = 600
_BATCH: Final = 200
_CONSUMER: Final = "benchmark"

OURS = f"units of {_BATCH}: lock, decide, update, history, outbox event"
BARE = f"bare UPDATE and two INSERTs, {_BATCH} rows each"
INBOX = f"units of {_BATCH} with the inbox"
OURS_SINGLE = "units of one"
BARE_SINGLE = "bare UPDATE and two INSERTs of one row"

_FILL: LiteralString = """
TRUNCATE booking.bookings, booking.booking_seats, booking.booking_state_transitions, booking.outbox_events,
  ticketops.inbox"""
_BOOKINGS: LiteralString = """
INSERT INTO booking.bookings (booking_id, booking_reference, user_id, event_id, total_amount, seat_count, expires_at,
  status, payment_status)
SELECT gen_random_uuid(), 'BK-' || n, 'U-' || n, 'E-' || n %% 100, 99.90, 2, now() + interval '1 hour',
  'PAYMENT_PENDING', 'PENDING' FROM generate_series(1, %s) n"""
_SEATS: LiteralString = (
    "INSERT INTO booking.booking_seats SELECT id, 'A' || x FROM booking.bookings, generate_series(1, 2) x"
)
_UPDATE: LiteralString = """
UPDATE booking.bookings SET status = 'CONFIRMED', payment_status = 'CAPTURED', payment_reference = 'pay-1',
  confirmed_at = now(), updated_at = now() WHERE booking_id = ANY(%b::uuid[])"""
_HISTORY: LiteralString = """
INSERT INTO booking.booking_state_transitions (transition_id, booking_id, from_state, to_state, event, triggered_by)
SELECT t, k, 'PAYMENT_PENDING', 'CONFIRMED', 'PAYMENT_CAPTURED', 'payment-webhook'
FROM unnest(%b::uuid[], %b::uuid[]) AS n (t, k)"""
_OUTBOX: LiteralString = """
INSERT INTO booking.outbox_events (id, aggregate_type, aggregate_id, event_type, payload)
SELECT i, 'BOOKING', k, 'BOOKING_CONFIRMED', p::jsonb FROM unnest(%b::uuid[], %b::text[], %b::text[]) AS n (i, k, p)"""

Way = Callable[[Database, Sequence[str], int], float]


def run(stage: Stage, scale: Scale) -> Report:
    """Measure each way in turn, on tables filled anew."""
    database = stage.database()
    database.upgrade()
    count, single = scale.of(60_000, 4000), scale.of(3000, 300)
    found: dict[str, list[float]] = defaultdict(list)
    ways: tuple[tuple[str, Way, int, int], ...] = (
        (OURS, _units, count, _BATCH),
        (BARE, _statements, count, _BATCH),
        (INBOX, _units_with_inbox, count, _BATCH),
        (OURS_SINGLE, _units, single, 1),
        (BARE_SINGLE, _statements, single, 1),
    )
    for _ in range(scale.rounds):
        for name, way, rows, batch in ways:
            found[name].append(rows / way(database, _filled(database, rows), batch))
    stage.drop(database)
    return _report(found, count)


def _report(found: dict[str, list[float]], count: int) -> Report:
    def verdict(name: str, peer: str, goal: Goal | None = None) -> Verdict:
        return Verdict(f"{name} ÷ {peer}", spread(ratios(found[name], found[peer])), goal=goal)

    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(values), "transitions/s") for name, values in found.items()],
        [
            verdict(OURS, BARE, Goal(0.8)),
            verdict(INBOX, BARE),
            verdict(OURS_SINGLE, BARE_SINGLE, Goal(0.8)),
        ],
        [
            f"{count:,} bookings a measurement; the bare statements decide nothing, lock nothing and know the payload.",
            "All indexes of `db upgrade` on an empty database are there for both.",
        ],
        dict(found),
    )


def _filled(database: Database, count: int) -> list[str]:
    """Bookings that wait for their payment; their keys in no order."""
    with database.connect() as connection:
        connection.execute(_FILL)
        connection.execute(_BOOKINGS, [count])
        connection.execute(_SEATS)
        connection.execute("VACUUM ANALYZE booking.bookings, booking.booking_seats")
        rows = connection.execute("SELECT booking_id::text FROM booking.bookings").fetchall()
        connection.execute("CHECKPOINT")
    return [row[0] for row in rows]


def _units(database: Database, keys: Sequence[str], batch: int, *, inbox: bool = False) -> float:
    """Seconds that it took through ports.TransitionStore, as a consumer of payments uses it."""
    store = PostgresTransitions(BOOKING, PostgresOptions(url=database.url), StateOptions().places, OutboxOptions())
    store.find(keys[0])
    started = time.perf_counter()
    for start in range(0, len(keys), batch):
        some = keys[start : start + batch]
        with store.unit() as unit:
            if inbox:
                unit.unseen(_CONSUMER, some)
            drafts = [unit.draft(subject, triggered_by="payment-webhook") for subject in unit.lock(some).values()]
            for draft in drafts:
                draft.set({Field.PAYMENT_REFERENCE: "pay-1"})
                draft.fire("PAYMENT_CAPTURED")
            unit.save([draft.change() for draft in drafts])
    took = time.perf_counter() - started
    store.close()
    return took


def _units_with_inbox(database: Database, keys: Sequence[str], batch: int) -> float:
    return _units(database, keys, batch, inbox=True)


def _statements(database: Database, keys: Sequence[str], batch: int) -> float:
    """Seconds that the same rows take with nothing but the statements that write them."""
    payload = json.dumps(
        {
            "bookingId": keys[0], "bookingReference": "BK-1", "userId": "U-1", "eventId": "E-1", "status": "CONFIRMED",
            "paymentStatus": "CAPTURED", "totalAmount": 99.9, "currency": "USD", "seatCount": 2,
            "seatNumbers": ["A1", "A2"], "paymentReference": "pay-1", "confirmedAt": "2026-11-23T10:10:54.947711Z",
            "timestamp": "2026-11-23T10:10:54.947711Z",
        }
    )  # fmt: skip
    with database.connect() as connection:
        connection.prepare_threshold = None
        started = time.perf_counter()
        for start in range(0, len(keys), batch):
            some = list(keys[start : start + batch])
            with connection.transaction():
                connection.execute(_UPDATE, [some])
                connection.execute(_HISTORY, [[str(uuid4()) for _ in some], some])
                connection.execute(_OUTBOX, [[str(uuid4()) for _ in some], some, [payload] * len(some)])
        return time.perf_counter() - started

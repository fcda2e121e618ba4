"""A booking service in a few threads: each transaction changes a booking and writes the events that tell of it."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg

from ticketops import outbox
from ticketops.config import Config
from ticketops.demo.journey import Booking, Step, Told, book
from ticketops.demo.proof import Written
from ticketops.domain.records import topic_of
from ticketops.errors import BackendError

_WRITERS = 4
_OPEN = 60
"""Bookings that the writers share: now and then two want the same one, and one waits for its row."""
_PAUSE = 0.003
"""Seconds that a writer rests between transactions; its customers are people."""
_ROLLED_BACK = 0.03
_SLOW = 0.05
"""Part of the transactions that stay open for a while, so that later ones commit before them."""
_SLOW_SECONDS = (0.01, 0.05)
_UNPAID = 0.1
_BULK = 50
"""Bookings in one large transaction."""
_INSERT = """
INSERT INTO booking.bookings
    (booking_id, booking_reference, user_id, event_id, status, total_amount, seat_count, expires_at)
VALUES (%s, %s, 'demo-user', 'demo-show', %s, 84.00, 2, now() + interval '15 minutes')
"""
_LOCK = "SELECT status FROM booking.bookings WHERE booking_id = %s FOR UPDATE"
_MOVE = "UPDATE booking.bookings SET status = %s, updated_at = now() WHERE booking_id = %s"
_RECORD = """
INSERT INTO booking.booking_state_transitions
    (transition_id, booking_id, from_state, to_state, event, triggered_by)
SELECT gen_random_uuid(), id::uuid, before, after, event, 'saga'
FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS moved(id, before, after, event)
"""
_PENDING = "SELECT count(*) FROM booking.outbox_events WHERE status = 'PENDING'"

_Connection = psycopg.Connection[tuple[Any, ...]]
_Sent = tuple[Told, str]
"""What was told, and the event's id."""


class BookingService:
    """Writes until it is stopped, and remembers what it committed."""

    def __init__(self, config: Config, seed: int = 7) -> None:
        self.written: dict[str, Written] = {}
        """Committed events by id."""
        self.transactions = 0
        self.rolled_back = 0
        self._config = config
        self._seed = seed
        self._open: list[Booking | None] = [None] * _OPEN
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failure: BaseException | None = None

    def write_bulk(self, events: int) -> None:
        """Write at least so many events of whole bookings, in large transactions."""
        end = len(self.written) + events
        with self._connected() as connection:
            while len(self.written) < end and not self._stopping.is_set():
                bookings = [book(paid=True) for _ in range(_BULK)]
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.executemany(_INSERT, [(b.id, b.reference, b.steps[-1].status) for b in bookings])
                    sent = self._tell(connection, *((b, step) for b in bookings for step in b.steps))
                    at = time.monotonic()
                self._committed(sent, at, live=False)

    def open_sale(self, events: int) -> None:
        """Write so many events at once, beside everyday life."""
        self._run("sale", lambda: self.write_bulk(events))

    def start(self) -> None:
        """Start the writers."""
        for number in range(_WRITERS):
            self._run(f"writer-{number}", partial(self._work, number))

    def stop(self) -> None:
        """Let the writers finish their transactions; idempotent."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(10.0)

    def check(self) -> None:
        """Raise what ended a writer."""
        if self._failure is not None:
            raise BackendError("the demo's booking service failed", why=str(self._failure)) from self._failure

    def pending(self) -> int:
        """Events that wait in the outbox now."""
        with self._connected() as connection:
            row = connection.execute(_PENDING).fetchone()
            return int(row[0]) if row else 0

    @contextmanager
    def _connected(self) -> Iterator[_Connection]:
        try:
            with psycopg.connect(self._config.postgres.url, application_name="demo booking service") as connection:
                yield connection
        except psycopg.Error as error:
            raise BackendError("the demo's database refused a call", why=str(error).strip()) from error

    def _run(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - the outermost guard of a thread: kept for `check`
                self._failure = error

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, number: int) -> None:
        draw = random.Random(self._seed + number)  # noqa: S311 - a workload, not a secret
        with self._connected() as connection:
            while not self._stopping.wait(_PAUSE):
                self._serve(connection, draw)

    def _serve(self, connection: _Connection, draw: random.Random) -> None:
        """One transaction: the next step of an open booking, or a new booking in its place."""
        place = draw.randrange(_OPEN)
        booking = self._open[place]
        fresh = book(paid=draw.random() > _UNPAID)
        sent: list[_Sent] = []
        at = 0.0
        with connection.transaction():
            step = self._change(connection, booking) if booking else None
            if booking is None or step is None:
                booking, step = fresh, fresh.steps[0]
                connection.execute(_INSERT, (booking.id, booking.reference, step.status))
            sent = self._tell(connection, (booking, step))
            if draw.random() < _SLOW:
                self._stopping.wait(draw.uniform(*_SLOW_SECONDS))
            if draw.random() < _ROLLED_BACK:
                raise psycopg.Rollback
            at = time.monotonic()
        if at:
            self._open[place] = booking
            self._committed(sent, at, live=True)
        else:
            with self._lock:
                self.rolled_back += 1

    def _change(self, connection: _Connection, booking: Booking) -> Step | None:
        """Lock the booking's row, then take its next step: so the order of its events is that of the commits."""
        row = connection.execute(_LOCK, (booking.id,)).fetchone()
        step = booking.after(row[0]) if row else None
        if step is not None:
            connection.execute(_MOVE, (step.status, booking.id))
        return step

    def _tell(self, connection: _Connection, *steps: tuple[Booking, Step]) -> list[_Sent]:
        """Write the history of these steps and their events; what is known of each event."""
        moved = [(str(booking.id), step.before, step.status, step.event) for booking, step in steps]
        connection.execute(_RECORD, [list(column) for column in zip(*moved, strict=True)])
        told = [(booking.id, one) for booking, step in steps for one in step.told]
        events = [one.event(booking_id) for booking_id, one in told]
        outbox.add(connection, *events)
        return [(one, str(event.id)) for (_, one), event in zip(told, events, strict=True)]

    def _committed(self, sent: list[_Sent], at: float, *, live: bool) -> None:
        topics = self._config.outbox.topics
        events = {
            event_id: Written(topic_of(told.aggregate_type, topics) or "", told.aggregate_id, told.version, at, live)
            for told, event_id in sent
        }
        with self._lock:
            self.transactions += 1
            self.written |= events

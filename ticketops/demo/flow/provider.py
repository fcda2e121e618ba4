"""A payment provider: it hears that a payment is asked for, and tells what became of it by `PaymentEventPublisher`.

Its own table is changed in the transaction that writes the payment event, so it tells each thing once, whenever it is
stopped or started again.
"""

import threading
from collections.abc import Mapping
from typing import Any, Final, LiteralString

import psycopg
from confluent_kafka import Message

from ticketops.config import Config
from ticketops.demo.flow.orders import REASON, Order
from ticketops.demo.flow.topics import GroupReader
from ticketops.demo.flow.work import Work
from ticketops.domain.records import EVENT_TYPE, topic_of
from ticketops.payments import PaymentEventPublisher

_ASKED: Final = b"PAYMENT_REQUESTED"
_AT_ONCE: Final = 200
_CREATE: LiteralString = """
CREATE SCHEMA IF NOT EXISTS payment_provider;
CREATE TABLE IF NOT EXISTS payment_provider.payments (
  payment_id text PRIMARY KEY, booking_id text NOT NULL, told int NOT NULL DEFAULT 0, steps int NOT NULL)"""
_OPEN: LiteralString = """
INSERT INTO payment_provider.payments (payment_id, booking_id, steps) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"""
_NEXT: LiteralString = """
UPDATE payment_provider.payments AS p SET told = p.told + 1
FROM (SELECT payment_id FROM payment_provider.payments WHERE told < steps ORDER BY random() LIMIT %s FOR UPDATE) AS due
WHERE p.payment_id = due.payment_id RETURNING p.booking_id, p.told - 1"""

_Connection = psycopg.Connection[tuple[Any, ...]]


class PaymentProvider:
    """Runs in a thread of this process."""

    def __init__(self, config: Config, orders: Mapping[str, Order]) -> None:
        """`orders` by booking id say how each payment goes; other bookings are not its own."""
        self.told = 0
        """Payment events that it has written."""
        self.silent = False
        """True: payments are taken, and nobody is told."""
        self._config = config
        self._orders = orders
        self.topic = topic_of("BOOKING", config.outbox.topics) or ""
        """Where payments are asked for."""
        self.group = f"{self.topic}-payment-provider"
        """Its consumer group."""
        self._publisher = PaymentEventPublisher(schema=config.postgres.schema, options=config.outbox)
        self._work: Work | None = None

    def start(self) -> None:
        """Begin to listen."""
        with psycopg.connect(self._config.postgres.url) as connection:
            connection.execute(_CREATE)
        self._work = Work("payment provider", self._listen)

    def stop(self) -> None:
        """Finish what is in hand; idempotent."""
        if self._work is not None:
            self._work.stop()

    def check(self) -> None:
        """Raise what ended it."""
        if self._work is not None:
            self._work.check()

    def _listen(self, stopping: threading.Event) -> None:
        reader = GroupReader(self._config, self.topic, self.group)
        try:
            with psycopg.connect(self._config.postgres.url, application_name="demo payment provider") as connection:
                while not stopping.is_set():
                    self._open(connection, reader)
                    if not self.silent:
                        self._tell(connection)
        finally:
            reader.close()

    def _open(self, connection: _Connection, reader: GroupReader) -> None:
        """Note the payments that are asked for."""
        messages = reader.take()
        asked = [order for message in messages if (order := self._asked(message))]
        if asked:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(_OPEN, [(order.payment, order.key, len(order.course.told)) for order in asked])
        if messages:
            reader.done()

    def _asked(self, message: Message) -> Order | None:
        if dict(message.headers() or ()).get(EVENT_TYPE) != _ASKED:
            return None
        return self._orders.get((message.key() or b"").decode())

    def _tell(self, connection: _Connection) -> None:
        """Tell one more thing of some payments."""
        with connection.transaction():
            for booking, step in connection.execute(_NEXT, (_AT_ONCE,)).fetchall():
                self._write(connection, self._orders[booking], step)
                self.told += 1

    def _write(self, connection: _Connection, order: Order, step: int) -> None:
        names = {"payment_id": order.payment, "booking_id": order.key}
        match order.course.told[step]:
            case "authorized":
                self._publisher.authorized(connection, **names)
            case "captured":
                self._publisher.captured(connection, **names)
            case "failed":
                self._publisher.failed(connection, reason=REASON, **names)
            case "refunded":
                self._publisher.refunded(connection, **names)

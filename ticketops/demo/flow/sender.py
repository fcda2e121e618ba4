"""Sends hostile events beside those of the payment provider, past the outbox."""

import random
import threading
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, LiteralString

import psycopg
from confluent_kafka import KafkaError, Message, Producer

from ticketops.config import Config
from ticketops.demo.flow.hostile import Finished, HostileEvent, hostile
from ticketops.demo.flow.orders import Order
from ticketops.demo.flow.work import Work
from ticketops.domain.records import EVENT_ID, topic_of
from ticketops.errors import BackendError

_LOOK: Final = 0.1
"""Seconds between looks at how many are due."""
_FLUSH: Final = 30.0
_POOL: Final = 500
"""Bookings that have ended, of which victims are chosen."""
_ENDED: LiteralString = """
SELECT b.booking_id::text, o.id::text, o.payload::text FROM booking.outbox_events AS o
JOIN (SELECT booking_id, status, payment_status FROM booking.bookings
  WHERE booking_id = ANY (%s::uuid[]) AND status IN ('CONFIRMED', 'CANCELLED')) AS b
  ON o.aggregate_type = 'PAYMENT' AND o.aggregate_id = b.booking_id::text
WHERE (b.booking_id, b.payment_status) IN (SELECT id::uuid, status FROM unnest(%s::text[], %s::text[]) AS e(id, status))
"""


class HostileSender:
    """Runs in a thread of this process until it has sent `total` events."""

    def __init__(
        self, config: Config, orders: Mapping[str, Order], total: int, due: Callable[[], float], seed: int = 5
    ) -> None:
        """`due` says which part of them, 0 … 1, may be sent by now."""
        self.sent: dict[str, HostileEvent] = {}
        """By origin: topic/partition/offset."""
        self._config = config
        self._orders = orders
        self._total = total
        self._due = due
        self._draw = random.Random(seed)  # noqa: S311 - a workload, not a secret
        self._topic = topic_of("PAYMENT", config.outbox.topics) or ""
        self._pool: list[Finished] = []
        self._work: Work | None = None

    def start(self) -> None:
        """Begin to send."""
        self._work = Work("hostile sender", self._send)

    def stop(self) -> None:
        """Stop sending; idempotent."""
        if self._work is not None:
            self._work.stop()

    def check(self) -> None:
        """Raise what ended it."""
        if self._work is not None:
            self._work.check()

    @property
    def is_over(self) -> bool:
        """True where all of them are in the topic."""
        return len(self.sent) == self._total

    def _send(self, stopping: threading.Event) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._config.kafka.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "log_level": 0,
            }
        )
        events, sent = hostile(self._draw, self._choose), 0
        while sent < self._total and not stopping.wait(_LOOK):
            due = min(self._total, int(self._total * self._due())) - sent
            if due > 0 and self._look():
                for event in islice(events, due):
                    self._produce(producer, event)
                    sent += 1
                if producer.flush(_FLUSH):
                    raise BackendError("hostile events were not taken", why=f"Kafka was silent for {_FLUSH:.0f} s")

    def _produce(self, producer: Producer, event: HostileEvent) -> None:
        def taken(error: KafkaError | None, message: Message) -> None:
            if error is None:
                self.sent[f"{message.topic()}/{message.partition()}/{message.offset()}"] = event

        headers: list[tuple[str, str | bytes | None]] = [(EVENT_ID, event.event_id.encode())] if event.event_id else []
        producer.produce(self._topic, event.value, event.key, on_delivery=taken, headers=headers)

    def _look(self) -> bool:
        """Look for bookings that have ended; true where each kind of end is among them."""
        if len(self._pool) < _POOL:
            with psycopg.connect(self._config.postgres.url) as connection:
                self._pool = self._ended(connection)
        ends = {found.order.course.confirmed for found in self._pool}
        return len(ends) == 2  # noqa: PLR2004 - confirmed and cancelled

    def _ended(self, connection: "psycopg.Connection[tuple[Any, ...]]") -> list[Finished]:
        keys = list(self._orders)
        statuses = [order.course.payment_status for order in self._orders.values()]
        sent: dict[str, list[tuple[str, str]]] = {}
        for key, event_id, payload in connection.execute(_ENDED, (keys, keys, statuses)):
            sent.setdefault(key, []).append((event_id, payload))
        return [Finished(self._orders[key], tuple(events)) for key, events in sent.items()]

    def _choose(self) -> Finished:
        return self._draw.choice(self._pool)

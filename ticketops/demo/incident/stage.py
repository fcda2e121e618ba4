"""The healthy workload of the incident, and how each of its parts is broken and mended."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException, Producer

from ticketops.config import Config
from ticketops.config.example import toml_value
from ticketops.demo.commands import run
from ticketops.demo.flow.run import Flow, FlowPlan
from ticketops.demo.ground import Ground
from ticketops.demo.outage import Outage
from ticketops.errors import BackendError

PLAN: Final = FlowPlan(
    bookings=20_000,
    hostile=0.0,
    desks=1,
    bookers=("bookings-1",),
    relays=("relay-1",),
    payments=("payments-1",),
    emails=("emails-1",),
    faults=False,
    pace=0.2,
    own_queue=False,
    settings={
        "worker.commit_interval": 0.2,
        "worker.bookings.max_attempts": 3,
        "worker.circuit_failures": 1_000_000,
    },
)
"""Five bookings a second, for more than an hour. Three attempts and no circuit: what the booking worker in Go does."""
RUSH: Final = 300
"""Bookings that come at once when the sale opens."""
_PAGES: Final = 40
"""Error pages that the provider's gateway sends instead of events."""
_FLUSH: Final = 10.0
_STUCK: Final = 20.0
"""Seconds after which a booking is stuck in PAYMENT_PENDING."""
_WINDOW: Final = 30.0
"""Seconds that a verdict on a consumer looks back."""
_HISTORY: Final = "history.db"
_DOWN: Final = "pay.example: POST /v2/capture: 504 Gateway Timeout"
_PAGE: Final = b"<html><body><h1>504 Gateway Timeout</h1>pay.example, request %d</body></html>"
_POISON: Final = b'{"eventType": "BOOKING_CONFIRMED", "bookingId": 17, "userId": {"id": "u-1"}'


def settings(folder: Path) -> str:
    """TOML: limits that a demo reaches, a history of its own, and nobody sends its emails."""
    limits = {**Config().state.limits, "PAYMENT_PENDING": _STUCK}
    rows = "".join(f"{state} = {toml_value(seconds)}\n" for state, seconds in limits.items())
    return (
        f"\n[lag]\nwindow = {_WINDOW}\nhistory_file = {toml_value(str(folder / _HISTORY))}\n\n"
        f"[status]\nemails_oldest = 86400.0\n\n[state.limits]\n{rows}"
    )


class Stage:
    """Everybody who works, from `start` to `close`."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self._flow = Flow(ground, PLAN)
        self._suspended = False

    def __enter__(self) -> Self:
        try:
            self._flow.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Mend what hangs, and end everybody; idempotent."""
        self.resume_redis()
        self._flow.stop()

    def look_after(self) -> None:
        """Start again who ended by itself; BackendError where a player of this process failed."""
        self._flow.look_after()

    def break_provider(self) -> None:
        """No booking can be paid for while a sale opens, and the gateway's error pages come instead of events."""
        self._flow.service.down = _DOWN
        self._flow.hurry(RUSH)
        self._send(self.ground.config.worker.payments.topic, {b"gateway-%d" % n: _PAGE % n for n in range(_PAGES)})

    def mend_provider(self) -> None:
        """It answers again."""
        self._flow.service.down = ""

    def kill_consumer(self) -> None:
        """SIGKILL for the worker of payments."""
        self._flow.kill_for_good(PLAN.payments[0])

    def restart_consumer(self) -> None:
        """Start it again."""
        self._flow.bring_back(PLAN.payments[0])

    def poison(self) -> None:
        """One event that no worker of emails can read."""
        self._send(self.ground.config.worker.emails.topic, {b"poison": _POISON})

    def suspend_redis(self) -> None:
        """SIGSTOP: it takes connections and answers nothing."""
        if self.ground.redis is not None:
            self._suspended = True
            self.ground.redis.suspend()

    def resume_redis(self) -> None:
        """SIGCONT; idempotent."""
        if self._suspended and self.ground.redis is not None:
            self.ground.redis.resume()
        self._suspended = False

    def silence_provider(self) -> None:
        """It takes payments and tells nobody."""
        self._flow.provider.silent = True

    def end_silence(self) -> None:
        """It tells all that it did not tell."""
        self._flow.provider.silent = False

    def end_outage(self) -> None:
        """`ticketops dlq requeue` for the group that most dead letters are in; an error page can never be an event."""
        outage = Outage(self.ground)
        group, _, _ = outage.look()
        outage.requeue(group)
        run(self.ground, "dlq", "discard", "--queue", "payments", "--match", "<html>", "--yes")

    def discard_poison(self) -> None:
        """`ticketops dlq discard` for the poison event."""
        run(self.ground, "dlq", "discard", "--queue", "emails", "--match", "bookingId", "--yes")

    def _send(self, topic: str, records: Mapping[bytes, bytes]) -> None:
        """Past the outbox, as somebody does who knows no better."""
        kafka = self.ground.config.kafka
        try:
            producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
            for key, value in records.items():
                producer.produce(topic, value, key)
            left = producer.flush(_FLUSH)
        except KafkaException as error:
            raise BackendError("a record was not taken", why=str(error)) from error
        if left:
            raise BackendError("records were not taken", why=f"Kafka was silent for {_FLUSH:.0f} s")

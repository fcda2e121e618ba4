"""The flow at work: who takes part, as threads of this process and as daemons that can be killed."""

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Final, LiteralString, Protocol

import psycopg

from ticketops.config import Config
from ticketops.demo.daemons import DaemonProcess, start_daemon
from ticketops.demo.flow.orders import Order, orders
from ticketops.demo.flow.provider import PaymentProvider
from ticketops.demo.flow.requests import BookingService, RequestQueue
from ticketops.demo.flow.seats import TIMEOUT, SeatService
from ticketops.demo.flow.sender import HostileSender
from ticketops.demo.flow.topics import lag, shares, start_at_end
from ticketops.demo.flow.work import Work
from ticketops.demo.ground import Ground
from ticketops.demo.relays import LEASE_SECONDS
from ticketops.errors import BackendError

RECIPIENTS: Final = "SELECT %(user_id)s::text || '@demo.example'"
_PATIENT: Final = {
    "worker.bookings.lease_seconds": 2.0,
    "worker.bookings.retry_base": 0.1,
    "worker.bookings.max_attempts": 50,
    "worker.circuit_rest": 1.0,
}
"""Nobody waits long for the items of a worker that was killed, and none of them dies of kills."""
_ENDED: LiteralString = """
SELECT count(*) FROM booking.bookings
WHERE booking_id = ANY (%s::uuid[]) AND status IN ('CONFIRMED', 'CANCELLED')"""
_PENDING: LiteralString = """
SELECT (SELECT count(*) FROM booking.outbox_events WHERE status = 'PENDING')
  + (SELECT count(*) FROM ticketops.email_pushes)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPlan:
    """How large a flow is."""

    bookings: int
    hostile: float = 0.05
    """Hostile events for each payment event that the provider writes."""
    desks: int = 4
    """Threads of customers."""
    held: int = 0
    """Orders, the last ones, that wait for `go_on`."""
    bookers: Sequence[str] = ("bookings-1", "bookings-2")
    relays: Sequence[str] = ("relay-1", "relay-2")
    payments: Sequence[str] = ("payments-1", "payments-2")
    emails: Sequence[str] = ("emails-1", "emails-2")
    seed: int = 7
    faults: bool = True
    """False: no service fails at random."""
    pace: float = 0.0
    """Seconds between two orders of a desk."""
    own_queue: bool = True
    """False: the queue that a configuration without a prefix names."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Of every daemon, beside what the configuration file says; these win over the flow's own."""


class Player(Protocol):
    """Works in a thread of this process."""

    def check(self) -> None:
        """Raise what ended it."""

    def stop(self) -> None:
        """Let it finish what it is at; idempotent."""


class Flow:
    """Its players, from `start` to `stop`."""

    def __init__(self, ground: Ground, plan: FlowPlan) -> None:
        self.ground = ground
        self.plan = plan
        self.orders: dict[str, Order] = {order.key: order for order in orders(plan.bookings, plan.seed)}
        self.seats = SeatService(plan.seed, faults=plan.faults)
        self.requests = RequestQueue(self.config, own=plan.own_queue)
        self.service = BookingService(self.config, self.orders, faults=plan.faults)
        self.provider = PaymentProvider(self.config, self.orders)
        due = sum(len(order.course.told) for order in self.orders.values())
        self.sender = HostileSender(
            self.config, self.orders, round(due * plan.hostile), lambda: self.provider.told / due, plan.seed
        )
        self._numbers = count()
        self._going_on = threading.Event()
        self._hurried = 0
        self.kills = 0
        self.ended: list[str] = []
        """Last words of daemons that ended by themselves."""
        self._daemons: dict[str, DaemonProcess] = {}
        self._desks: list[Work] = []

    @property
    def config(self) -> Config:
        """The configuration that all of them share."""
        return self.ground.config

    @property
    def daemons(self) -> list[str]:
        """The names of those that run."""
        return list(self._daemons)

    def start(self) -> None:
        """Start everybody, each after what is in the topics; the daemons get ready while the first bookings come in."""
        start_at_end(self.config, [*groups(self.config), (self.provider.topic, self.provider.group)])
        for name in (*self.plan.bookers, *self.plan.relays, *self.plan.payments, *self.plan.emails):
            self._start(name)
        self.provider.start()
        self.sender.start()
        waiting = iter(self.orders.values())
        lock = threading.Lock()
        for number in range(self.plan.desks):
            self._desks.append(Work(f"desk {number}", partial(self._order, waiting, lock)))

    def go_on(self) -> None:
        """Let the orders come that were held back."""
        self._going_on.set()

    def hurry(self, orders: int) -> None:
        """Let so many of the next orders come without a pause."""
        self._hurried = orders

    def kill(self, name: str) -> None:
        """SIGKILL, and start it again at once, as a supervisor would."""
        self.kill_for_good(name)
        self.bring_back(name)

    def kill_for_good(self, name: str) -> None:
        """SIGKILL; nobody starts it again."""
        daemon = self._daemons.pop(name)
        daemon.kill()
        self.kills += 1
        daemon.stop()

    def bring_back(self, name: str) -> None:
        """Start one that was killed."""
        self._start(name)

    def kill_one(self, draw: random.Random) -> str:
        """Kill any of them; its name."""
        self.look_after()
        name = draw.choice(self.daemons)
        self.kill(name)
        return name

    def look_after(self) -> None:
        """Start again who ended by itself; raise where a player of this process failed."""
        for player in self._players():
            player.check()
        for name, daemon in list(self._daemons.items()):
            if not daemon.is_alive:
                self.ended.append(f"{name}: {daemon.last_words}")
                daemon.stop()
                self._start(name)

    def count_ended(self) -> int:
        """Bookings that are confirmed or cancelled."""
        return self._ask(_ENDED, [list(self.orders)])

    def is_quiet(self) -> bool:
        """True where nobody has anything left to do."""
        if not all(desk.is_over for desk in self._desks) or not self.sender.is_over:
            return False
        return self.count_ended() == len(self.orders) and self._ask(_PENDING) == 0 and self._lag() == 0

    def is_shared_out(self) -> bool:
        """True where every worker has its part of the partitions."""
        for (topic, group), names in zip(groups(self.config), (self.plan.payments, self.plan.emails), strict=True):
            free, owned = shares(self.config, topic, group)
            if free or len(owned) != len(names) or not all(owned):
                return False
        return True

    def what_is_left(self) -> str:
        """In words, for who waited too long."""
        ended = self.count_ended()
        words = "; ".join(f"{name} last said: {daemon.last_words}" for name, daemon in self._daemons.items())
        return (
            f"{ended} of {len(self.orders)} bookings have ended, {self._ask(_PENDING)} events and emails wait, "
            f"{self._lag()} records are not read; {words}"
        )

    def stop(self) -> None:
        """End everybody, the daemons gracefully; idempotent."""
        self.go_on()
        for player in self._players():
            player.stop()
        if self._daemons:
            with ThreadPoolExecutor(len(self._daemons)) as threads:
                list(threads.map(DaemonProcess.stop, self._daemons.values()))
        self._daemons.clear()
        for service in (self.seats, self.service, self.requests):
            service.close()

    def _players(self) -> "list[Player]":
        return [*self._desks, self.sender, self.provider]

    def _order(self, waiting: Iterator[Order], lock: threading.Lock, stopping: threading.Event) -> None:
        while not stopping.is_set():
            with lock:
                order = next(waiting, None)
                number = next(self._numbers)
            if order is None:
                return
            if number >= len(self.orders) - self.plan.held:
                self._going_on.wait()
            self.requests.put(order)
            if self._hurried > 0:
                self._hurried -= 1
            else:
                stopping.wait(self.plan.pace)

    def _start(self, name: str) -> None:
        words, settings = self._command(name)
        self._daemons[name] = start_daemon(self.ground, name, words, {**settings, **self.plan.settings})

    def _command(self, name: str) -> tuple[Sequence[str], Mapping[str, object]]:
        if name in self.plan.relays:
            return ("relay", "run"), {"relay.id": name, "relay.lease_seconds": LEASE_SECONDS}
        if name in self.plan.bookers:
            return ("worker", "bookings"), {
                "worker.bookings.url": self.service.url,
                "worker.bookings.prefix": self.requests.prefix,
                **_PATIENT,
            }
        if name in self.plan.payments:
            release = {"": "http", "_url": self.seats.url, "_timeout": TIMEOUT}
            settings = {f"worker.payments.release{key}": value for key, value in release.items()}
            return ("worker", "payments"), {"worker.member": name, **settings}
        return ("worker", "emails"), {"worker.member": name, "worker.emails.recipients_query": RECIPIENTS}

    def _lag(self) -> int:
        return sum(lag(self.config, topic, group) for topic, group in groups(self.config))

    def _ask(self, question: LiteralString, values: Sequence[object] = ()) -> int:
        try:
            with psycopg.connect(self.config.postgres.url) as connection:
                row: Any = connection.execute(question, values or None).fetchone()
        except psycopg.Error as error:
            raise BackendError("the demo's database refused a call", why=str(error).strip()) from error
        return int(row[0])


def groups(config: Config) -> list[tuple[str, str]]:
    """The workers' topics and groups."""
    return [(part.topic, part.group) for part in (config.worker.payments, config.worker.emails)]

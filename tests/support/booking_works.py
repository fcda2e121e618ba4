"""`ticketops worker bookings` as a process over a real Redis, and what it works on."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.booking_effects import EFFECTS
from support.booking_service import BookingService
from support.booking_worker import BookingWorker, parsed
from support.cli import Cli
from support.relay import Site
from support.valkeys import client_for
from support.waiting import eventually
from support.workers import WorkerProcess, laid_over
from ticketops.domain.wire.items import BookingItem
from ticketops.domain.wire.scalars import WireTime
from ticketops.options import RedisOptions

VERB = ("worker", "bookings")
PYTHON = {"bookings": {"processor": "python", "function": "support.booking_effects:process"}}
"""The part of [worker] that calls a function, whose effects are noted."""


@dataclass
class BookingWorks:
    """The keys of one queue, a service, and the settings of its workers."""

    site: Site
    worker: BookingWorker
    service: BookingService

    def item(self, show: str = "E1", *, expires: float = 900.0, **changes: Any) -> BookingItem:
        """An item that expires in so many seconds."""
        at = WireTime.of(datetime.now(UTC) + timedelta(seconds=expires))
        return self.worker.item(show, **{"expires_at": at, **changes})

    def add(self, show: str = "E1", *, expires: float = 900.0, **changes: Any) -> str:
        item = self.item(show, expires=expires, **changes)
        self.worker.enqueue(item)
        return item.id

    def add_raw(self, data: bytes, show: str = "E1") -> None:
        self.worker.redis.lpush(self.worker.key(f"booking-queue:{show}"), data)
        self.worker.redis.sadd(self.worker.key("booking:active-queues"), show)

    def key(self, name: str) -> str:
        return self.worker.key(f"ticketops:work:{name}")

    @property
    def held(self) -> int:
        """In hand or waiting."""
        return int(self.worker.redis.hlen(self.key("held")))

    @property
    def waiting(self) -> int:
        return int(self.worker.redis.zcard(self.key("waiting")))

    @property
    def queued(self) -> int:
        return sum(self.worker.redis.llen(self.worker.key(f"booking-queue:{show}")) for show in self.worker.shows())

    @property
    def letters(self) -> list[dict[str, Any]]:
        ids = self.worker.redis.zrange(self.worker.key("booking:dlq:items"), 0, -1)
        return [parsed(self.worker.body(id_.decode()) or b"null") for id_ in ids]

    @property
    def dead(self) -> Counter[str]:
        """Dead letters by their items' ids."""
        return Counter(letter["id"].split(":", 1)[1].rpartition(":")[0] for letter in self.letters)

    def letter(self, timeout: float = 20.0) -> dict[str, Any]:
        """The one dead letter, once it is there."""
        letters = eventually(lambda: self.letters, timeout)
        assert len(letters) == 1, letters
        (found,) = letters
        return found

    @property
    def effects(self) -> list[tuple[str, int]]:
        """Calls of `support.booking_effects:process`: item and attempt, in their order."""
        path = self.site.cli.folder / EFFECTS
        lines = path.read_text().splitlines() if path.exists() else []
        return [(item, int(attempt)) for item, attempt in (line.split() for line in lines)]

    def wait_until_done(self, timeout: float = 30.0) -> None:
        eventually(lambda: not (self.queued or self.held), timeout)


MakeBookings = Callable[..., WorkerProcess]


def booking_settings(url: str, prefix: str, service: str) -> dict[str, Mapping[str, Any]]:
    """Short waits, so that a test sees their ends; a lease that outlasts a moment in which a worker gets no CPU."""
    own = {
        "prefix": prefix,
        "url": f"{service}/bookings/{{item_id}}",
        "timeout": 2.0,
        "retry_base": 0.05,
        "retry_cap": 0.4,
        "lease_seconds": 6.0,
        "poll_interval": 0.02,
    }
    return {
        "redis": {"url": url},
        "worker": {"stop_timeout": 10.0, "bookings": own},
        "dlq": {
            "store": "local",
            "store_file": "operations.sqlite3",
            "queues": {"bookings": {"kind": "redis", "prefix": prefix}},
        },
        "http": {"port": 0},
        "log": {"format": "json"},
    }


@pytest.fixture
def booking_works(cli: Cli, redis: RedisOptions, redis_prefix: str) -> Iterator[BookingWorks]:
    client = client_for(redis)
    with BookingService() as service:
        site = Site(cli, booking_settings(redis.url, redis_prefix, service.url))
        works = BookingWorks(site, BookingWorker(client, redis_prefix), service)
        yield works
        works.worker.clean()
    client.close()


@pytest.fixture
def make_bookings(booking_works: BookingWorks) -> Iterator[MakeBookings]:
    """Make workers, not started yet: `make_bookings("a", "--drain", worker={"threads": 1})`."""
    with ExitStack() as stack:

        def make(name: str = "bookings", *words: str, **sections: Any) -> WorkerProcess:
            options = {key: sections.pop(key) for key in ("env", "launcher") if key in sections}
            site = Site(booking_works.site.cli, laid_over(booking_works.site.settings, sections))
            worker = WorkerProcess(site, name, words, verb=VERB, **options)
            stack.callback(worker.close)
            return worker

        yield make

"""Dead letters of the booking worker in Valkey, and `ticketops` set up to act on them."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis import Redis

from support.booking_worker import BookingWorker
from support.cli import Cli, Result
from ticketops.domain.wire.items import decode_item
from ticketops.options import PostgresOptions, RedisOptions


@dataclass
class Incident:
    """A queue `bookings`, a worker, and the command line."""

    cli: Cli
    worker: BookingWorker

    def __call__(self, *words: object, text: str = "") -> Result:
        return self.cli.here(*words, text=text)

    def die(self, number: int, *, show: str = "E1", reason: str = "timeout", age: float = 60.0) -> list[str]:
        return [self.worker.dead_letter(self.worker.item(show), reason=reason, age=age) for _ in range(number)]

    @property
    def dead(self) -> list[str]:
        return [id_.decode() for id_ in self.worker.redis.zrange(self.worker.key("booking:dlq:items"), 0, -1)]

    @property
    def waiting(self) -> list[str]:
        """The item ids in the shows' queues."""
        return [decode_item(raw).id for show in self.worker.shows() for raw in self.worker.waiting(show)]

    def with_postgres(self, database: PostgresOptions) -> "Incident":
        """The same, with operations in PostgreSQL."""
        variables = {**self.cli.variables, "TICKETOPS_DLQ_STORE": "postgres", "TICKETOPS_POSTGRES_URL": database.url}
        return replace(self, cli=replace(self.cli, variables=variables))


def write_config(folder: Path, prefix: str) -> None:
    (folder / "ticketops.toml").write_text(
        f'[dlq]\nstore = "local"\nstore_file = "{folder}/operations.sqlite3"\n'
        f'[dlq.queues.bookings]\nkind = "redis"\nprefix = "{prefix}"\n'
    )


@pytest.fixture
def incident(tmp_path: Path, redis: RedisOptions, redis_prefix: str) -> Iterator[Incident]:
    write_config(tmp_path, redis_prefix)
    cli = Cli(tmp_path, variables={"TICKETOPS_REDIS_URL": redis.url})
    with closing(Redis.from_url(redis.url)) as client:
        worker = BookingWorker(client, redis_prefix)
        yield Incident(cli, worker)
        worker.clean()

"""What is asked once and told in several places: the outbox, its relays, and the shows' queues."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ticketops.wiring import bounded
from ticketops.wiring.sessions import Sessions

if TYPE_CHECKING:
    from ticketops.backends.postgres.figures import PostgresFigures
    from ticketops.backends.redis.figures import RedisFigures
    from ticketops.config import Config
    from ticketops.domain.lag.backlogs import Backlog, Waiting
    from ticketops.domain.overview.snapshot import OutboxFigures, RelayFigures
    from ticketops.ports.relay import ShardLeases
    from ticketops.services.lag.beside import Beside
    from ticketops.services.overview.parts import Once


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues before consumers of our own."""

    outbox: "Once[OutboxFigures]"
    relay: "Once[RelayFigures]"
    shows: "Once[tuple[Waiting, ...]]"


def open_queues(config: "Config", sessions: Sessions) -> Queues:
    """Nothing is opened before the first question."""
    from ticketops.services.overview.parts import Once, Question, relay_figures  # noqa: PLC0415

    outbox = Question(
        ("outbox",), partial(open_postgres_figures, config, sessions, "outbox"), lambda asked, _: asked.outbox()
    )
    relay = Question(("relay",), partial(_leases, config, sessions), lambda asked, _: relay_figures(asked.status()))
    shows = Question(("queues",), partial(open_redis_figures, config), lambda asked, _: asked.shows())
    return Queues(Once(outbox), Once(relay), Once(shows))


def beside(config: "Config", queues: Queues) -> "tuple[Beside, ...]":
    """The relay and the booking worker, as groups of their own; `:` tells them from Kafka's."""
    from ticketops.services.lag.beside import Beside  # noqa: PLC0415

    table = config.outbox.table
    return (
        Beside(f"relay:{table}", "relay", _Relay(table, queues)),
        Beside("queue:bookings", "queue", _Shows(queues)),
    )


def open_postgres_figures(config: "Config", sessions: Sessions, tables: str, timeout: float) -> "PostgresFigures":
    """What the database says, over the connection of these tables; `timeout` in seconds for each answer."""
    from ticketops.backends.postgres.figures import PostgresFigures  # noqa: PLC0415 - loads the driver

    return PostgresFigures(
        sessions.of(tables, timeout),
        config.postgres,
        config.outbox,
        shards=config.relay.shards,
        compensations_table=config.state.compensations_table,
    )


def open_redis_figures(config: "Config", timeout: float) -> "RedisFigures":
    """What Redis says of itself and of its queues; `timeout` in seconds bounds connecting and answers."""
    from ticketops.backends.redis.figures import RedisFigures  # noqa: PLC0415 - loads the driver

    options = replace(config.redis, connect_timeout=timeout, answer_timeout=timeout)
    return RedisFigures(options, email_list=config.worker.emails.list)


def _leases(config: "Config", sessions: Sessions, timeout: float) -> "ShardLeases":
    from ticketops.backends.postgres.relay_leases import PostgresShardLeases  # noqa: PLC0415 - loads the driver

    options, shared = bounded(config, timeout), sessions.of("own", timeout)
    return PostgresShardLeases(options, config.outbox, "ticketops status", shared=shared)


@dataclass(frozen=True, slots=True)
class _Relay:
    """Implements services.lag.beside.BacklogSource."""

    table: str
    queues: Queues

    def read(self, timeout: float) -> "Backlog":
        from ticketops.services.lag.beside import outbox_backlog  # noqa: PLC0415

        return outbox_backlog(self.table, self.queues.outbox.read(timeout), self.queues.relay.read(timeout))

    def close(self) -> None:
        self.queues.outbox.close()
        self.queues.relay.close()


@dataclass(frozen=True, slots=True)
class _Shows:
    """Implements services.lag.beside.BacklogSource."""

    queues: Queues

    def read(self, timeout: float) -> "Backlog":
        from ticketops.domain.lag.backlogs import Backlog  # noqa: PLC0415

        return Backlog(waiting=self.queues.shows.read(timeout)[:_MOST_SHOWS])

    def close(self) -> None:
        self.queues.shows.close()


_MOST_SHOWS = 1000
"""Shows that lag tells one by one: the deepest."""

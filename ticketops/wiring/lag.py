"""Consumer lag, put together."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketops.backends.redis.figures import RedisFigures
    from ticketops.config import Config
    from ticketops.domain.lag.backlogs import Backlog
    from ticketops.ports.lag import LagSource
    from ticketops.ports.ring import Ring
    from ticketops.services.lag.beside import Beside
    from ticketops.services.lag.watch import LagWatch


def open_lag_source(config: "Config") -> "LagSource":
    """Consumer groups of the Kafka cluster."""
    from ticketops.backends.kafka.lag import KafkaLag  # noqa: PLC0415 - loads the driver

    return KafkaLag(config.kafka)


def open_ring(config: "Config") -> "Ring":
    """The local memory of earlier looks."""
    from ticketops.backends.local.ring import LocalRing, default_file  # noqa: PLC0415

    named = config.lag.history_file
    return LocalRing(Path(named).expanduser() if named else default_file(config.context))


def open_lag_watch(config: "Config", *, recall: bool) -> "LagWatch":
    """Looks at consumer groups and queues; `recall`: with looks of earlier runs on this machine."""
    from ticketops.services.lag.watch import LagWatch  # noqa: PLC0415

    ring = open_ring(config) if recall else None
    return LagWatch(open_lag_source(config), config.lag, ring, tuple(_beside(config)))


def open_group_watch(config: "Config") -> "LagWatch":
    """Looks at consumer groups of the cluster alone."""
    from ticketops.services.lag.watch import LagWatch  # noqa: PLC0415

    return LagWatch(open_lag_source(config), config.lag)


def _beside(config: "Config") -> "Iterator[Beside]":
    """The relay and the booking worker, as groups of their own; `:` tells them from Kafka's."""
    from ticketops.services.lag.beside import Beside  # noqa: PLC0415
    from ticketops.services.overview.parts import Question  # noqa: PLC0415

    outbox = Question[_Outbox](("relay",), partial(_Outbox, config), _Outbox.backlog)
    yield Beside(f"relay:{config.outbox.table}", "relay", outbox)
    shows = Question["RedisFigures"](("queue",), partial(open_redis_figures, config), _shows)
    yield Beside("queue:bookings", "queue", shows)


def _shows(figures: "RedisFigures", _: float) -> "Backlog":
    from ticketops.domain.lag.backlogs import Backlog  # noqa: PLC0415

    return Backlog(waiting=figures.waiting())


def open_redis_figures(config: "Config", timeout: float) -> "RedisFigures":
    """What Redis says of itself and of its queues; `timeout` in seconds bounds connecting and answers."""
    from ticketops.backends.redis.figures import RedisFigures  # noqa: PLC0415 - loads the driver

    bounded = replace(config.redis, connect_timeout=timeout, answer_timeout=timeout)
    return RedisFigures(bounded, email_list=config.worker.emails.list)


class _Outbox:
    """The outbox and its relays, asked one after the other by one thread."""

    def __init__(self, config: "Config", timeout: float) -> None:
        from ticketops.backends.postgres.figures import PostgresFigures  # noqa: PLC0415 - loads the driver
        from ticketops.backends.postgres.relay_leases import PostgresShardLeases  # noqa: PLC0415 - loads the driver

        table = config.state.compensations_table
        bounded = replace(config.postgres, connect_timeout=timeout, answer_timeout=timeout)
        self._table = config.outbox.table
        self._figures = PostgresFigures(
            config.postgres, config.outbox, shards=config.relay.shards, compensations_table=table
        )
        self._leases = PostgresShardLeases(bounded, config.outbox, "ticketops lag")

    def backlog(self, timeout: float) -> "Backlog":
        """What waits for the relays."""
        from ticketops.services.lag.beside import outbox_backlog  # noqa: PLC0415
        from ticketops.services.overview.parts import relay_figures  # noqa: PLC0415

        return outbox_backlog(self._table, self._figures.outbox(timeout), relay_figures(self._leases.status()))

    def close(self) -> None:
        """Give up both connections."""
        self._figures.close()
        self._leases.close()

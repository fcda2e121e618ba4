"""Consumer lag, put together."""

from pathlib import Path
from typing import TYPE_CHECKING

from ticketops.wiring.figures import beside, open_queues
from ticketops.wiring.sessions import Sessions

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.ports.lag import LagSource
    from ticketops.ports.ring import Ring
    from ticketops.services.lag.watch import LagWatch
    from ticketops.wiring.figures import Queues


def open_lag_source(config: "Config") -> "LagSource":
    """Consumer groups of the Kafka cluster."""
    from ticketops.backends.kafka.lag import KafkaLag  # noqa: PLC0415 - loads the driver

    return KafkaLag(config.kafka)


def open_ring(config: "Config") -> "Ring":
    """The local memory of earlier looks."""
    from ticketops.backends.local.ring import LocalRing, default_file  # noqa: PLC0415

    named = config.lag.history_file
    return LocalRing(Path(named).expanduser() if named else default_file(config.context))


def open_lag_watch(config: "Config", *, recall: bool, queues: "Queues | None" = None) -> "LagWatch":
    """Looks at consumer groups and queues; `recall`: with looks of earlier runs on this machine.

    `queues`: where others ask about them as well.
    """
    from ticketops.services.lag.watch import LagWatch  # noqa: PLC0415

    ring = open_ring(config) if recall else None
    queues = queues or open_queues(config, Sessions(config))
    return LagWatch(open_lag_source(config), config.lag, ring, beside(config, queues))


def open_group_watch(config: "Config") -> "LagWatch":
    """Looks at consumer groups of the cluster alone."""
    from ticketops.services.lag.watch import LagWatch  # noqa: PLC0415

    return LagWatch(open_lag_source(config), config.lag)

"""Consumer lag, put together."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.ports.lag import LagSource
    from ticketops.ports.ring import Ring
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
    """Looks at consumer groups; `recall`: with those of earlier runs on this machine."""
    from ticketops.services.lag.watch import LagWatch  # noqa: PLC0415

    return LagWatch(open_lag_source(config), config.lag, open_ring(config) if recall else None)

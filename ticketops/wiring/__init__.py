"""The composition root: the only importer of backends. Everything is made when it is asked for."""

import getpass
import os
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from ticketops import __version__
from ticketops.domain.relay import Identity
from ticketops.errors import TicketOpsError
from ticketops.options import PostgresOptions

if TYPE_CHECKING:
    from ticketops.backends.postgres.waker import PostgresWaker
    from ticketops.config import Config
    from ticketops.ports.database import SchemaKeeper
    from ticketops.ports.outbox import OutboxAdmin
    from ticketops.ports.relay import OutboxSource, Publisher, ShardLeases
    from ticketops.services.metrics import RelayMetrics
    from ticketops.services.relay.daemon import RelayDaemon, Until
    from ticketops.services.relay.shadow import Shadow


def actor() -> str:
    """Who runs this process, as user@host; for the audit log."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def open_schema(config: "Config", *, timeout: float | None = None) -> "SchemaKeeper":
    """The database's schema; `timeout` in seconds bounds connecting and reading, where given."""
    from ticketops.backends.postgres.upgrade import PostgresSchema  # noqa: PLC0415 - loads the driver

    return PostgresSchema(bounded(config, timeout), config.outbox, config.relay, config.state)


def open_outbox_admin(config: "Config", *, timeout: float | None = None) -> "OutboxAdmin":
    """An operator's view of the outbox; `timeout` in seconds bounds connecting and reading, where given."""
    from ticketops.backends.postgres.admin import PostgresOutboxAdmin  # noqa: PLC0415 - loads the driver

    return PostgresOutboxAdmin(bounded(config, timeout), config.outbox, config.relay)


def identity(config: "Config") -> Identity:
    """This process as a relay; without a relay.id its host and process id name it."""
    host, pid = socket.gethostname(), os.getpid()
    return Identity(config.relay.id or f"{host}-{pid}", uuid4(), host, pid, __version__)


def open_shard_leases(config: "Config", *, timeout: float | None = None) -> "ShardLeases":
    """Relays, shards and pauses; `timeout` in seconds bounds connecting and reading, where given."""
    from ticketops.backends.postgres.relay_leases import PostgresShardLeases  # noqa: PLC0415 - loads the driver

    return PostgresShardLeases(bounded(config, timeout), config.outbox, "ticketops relay leases")


def open_outbox_source(config: "Config") -> "OutboxSource":
    """The outbox as a source of events, for one thread."""
    from ticketops.backends.postgres.relay_source import PostgresOutboxSource  # noqa: PLC0415 - loads the driver

    relay = config.relay
    return PostgresOutboxSource(config.postgres, config.outbox, shards=relay.shards, skip_locked=relay.skip_locked)


def open_publisher(config: "Config", name: str) -> "Publisher":
    """A producer of one's own, for one thread; `name` is the end of its client id."""
    from ticketops.backends.kafka.publisher import KafkaPublisher  # noqa: PLC0415 - loads the driver

    return KafkaPublisher(
        config.kafka,
        client_id=f"ticketops-{name}",
        batch_events=config.relay.batch_size,
        batch_bytes=config.relay.batch_bytes,
    )


def open_relay(config: "Config", metrics: "RelayMetrics", until: "Until") -> "RelayDaemon":
    """The relay of one process, not started yet."""
    from ticketops.backends.postgres.relay_care import PostgresOutboxCare  # noqa: PLC0415 - loads the driver
    from ticketops.services.relay.daemon import RelayDaemon, RelayParts  # noqa: PLC0415
    from ticketops.wiring.tracing import open_tracer  # noqa: PLC0415

    me, relay = identity(config), config.relay
    parts = RelayParts(
        leases=lambda: open_shard_leases(config),
        source=lambda: open_outbox_source(config),
        publisher=lambda name: open_publisher(config, f"relay-{me.relay_id}-{name}"),
        care=lambda: PostgresOutboxCare(
            config.postgres,
            config.outbox,
            shards=relay.shards,
            max_attempts=relay.max_attempts,
            application="ticketops relay care",
        ),
        waker=lambda: _open_waker(config),
        tracer=open_tracer(config, "relay"),
    )
    return RelayDaemon(parts, me, config.outbox, relay, metrics, until=until)


def open_shadow(config: "Config") -> "Shadow":
    """The relay as a shadow."""
    from ticketops.services.relay.daemon import routes_of  # noqa: PLC0415
    from ticketops.services.relay.shadow import Shadow  # noqa: PLC0415

    publisher = open_publisher(config, "relay-shadow")
    return Shadow(open_outbox_source(config), publisher, routes_of(config.outbox), config.relay)


def _open_waker(config: "Config") -> "PostgresWaker | None":
    import structlog  # noqa: PLC0415 - commands do not pay for it

    from ticketops.backends.postgres.waker import PostgresWaker  # noqa: PLC0415 - loads the driver

    waker = PostgresWaker(
        config.postgres, config.outbox, shards=config.relay.shards, application="ticketops relay waker"
    )
    try:
        check = waker.check()
        if check.possible:
            waker.listen()
    except TicketOpsError:
        waker.close()
        raise
    log = structlog.get_logger("ticketops").bind(part="waker")
    if check.possible:
        log.info("wakes by LISTEN", why=check.reason)
        return waker
    log.info("polls only", why=check.reason, every_seconds=config.relay.poll_interval)
    waker.close()
    return None


def ping(config: "Config", *, timeout: float) -> dict[str, float]:
    """Seconds that each backend took to answer; BackendUnavailable or DeniedError for the first that does not."""
    started = time.monotonic()
    _ping_postgres(config, timeout)
    postgres = time.monotonic()
    _ping_kafka(config, timeout)
    return {"PostgreSQL": postgres - started, "Kafka": time.monotonic() - postgres}


def _ping_postgres(config: "Config", timeout: float) -> None:
    from ticketops.backends.postgres.session import connect  # noqa: PLC0415 - loads the driver

    connect(bounded(config, timeout), application="ticketops check").close()


def _ping_kafka(config: "Config", timeout: float) -> None:
    publisher = open_publisher(replace(config, kafka=replace(config.kafka, answer_timeout=timeout)), "check")
    try:
        publisher.prepare()
    finally:
        publisher.close()


def bounded(config: "Config", timeout: float | None) -> PostgresOptions:
    """Where PostgreSQL is; `timeout` in seconds bounds connecting and reading, where given."""
    if timeout is None:
        return config.postgres
    return replace(config.postgres, connect_timeout=timeout, answer_timeout=timeout)

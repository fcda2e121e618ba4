"""Frozen options: what every part can be told, with its unit, its default and what None or 0 means.

The docstring under a field is what `config.example.toml` says of it; `repr=False` marks what is, or may hold, a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from ticketops.domain.outbox import FailurePolicy

Seconds = Annotated[float, Meta(gt=0)]
Positive = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Port = Annotated[int, Meta(ge=0, le=65535)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOptions:
    """The booking service's database."""

    url: str = field(default="postgresql://localhost:5432/booking", repr=False)
    """A libpq URL; several hosts and `target_session_attrs=read-write` follow a failover. Secret."""
    url_file: str = ""
    """A file that holds the URL, read instead of `url`."""
    password_file: str = ""
    """A file that holds the password alone."""
    schema: str = "booking"
    """The schema of the services' tables."""
    own_schema: str = "ticketops"
    """The schema of TicketOps' own tables."""
    connect_timeout: Seconds = 5.0
    """Seconds to wait for a connection."""
    answer_timeout: Seconds = 10.0
    """Seconds after which a daemon gives up a statement that gets no answer."""
    lock_timeout: Seconds = 2.0
    """Seconds that a change to a table waits for its lock before it gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """The Kafka cluster."""

    bootstrap_servers: str = "localhost:9092"
    """host:port, comma-separated."""
    username: str = ""
    """SASL user name."""
    password: str = field(default="", repr=False)
    """SASL password. Secret."""
    password_file: str = ""
    """A file that holds the SASL password."""
    properties: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)
    """Any librdkafka setting (TLS, SASL, tuning); wins over TicketOps' own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """The booking worker's Redis or Valkey."""

    url: str = field(default="redis://localhost:6379/0", repr=False)
    """redis://, rediss:// or unix://. Secret."""
    url_file: str = ""
    """A file that holds the URL, read instead of `url`."""
    password_file: str = ""
    """A file that holds the password alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxColumns:
    """Column names of the outbox table; an empty name says that the table has no such column."""

    id: str = "id"
    """uuid, the primary key."""
    aggregate_type: str = "aggregate_type"
    """Text; chooses the topic."""
    aggregate_id: str = "aggregate_id"
    """Text; the record key."""
    event_type: str = "event_type"
    """Text."""
    payload: str = "payload"
    """jsonb, json, text or bytea; the record value."""
    status: str = "status"
    """PENDING, PUBLISHED or FAILED; empty: a row that is there is pending, and is deleted when published."""
    created_at: str = "created_at"
    """timestamptz."""
    published_at: str = "published_at"
    """timestamptz."""
    retry_count: str = "retry_count"
    """Integer."""
    last_error: str = "last_error"
    """Text."""
    seq: str = "seq"
    """bigint that grows with every insert; used for the order where the table has it."""
    trace_parent: str = ""
    """Text, a W3C traceparent sent as a header; empty: none is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxOptions:
    """The transactional outbox: where its rows are, and where they go."""

    table: str = "outbox_events"
    """The table, in `postgres.schema`."""
    columns: OutboxColumns = field(default_factory=OutboxColumns)
    """Column names."""
    topics: Mapping[str, str] = field(
        default_factory=lambda: {
            "BOOKING": "booking-events",
            "PAYMENT": "payment-events",
            "TICKET": "ticket-events",
        }
    )
    """Aggregate type = topic. `"*"` names the topic of every other type; `{type}` in it is the type in lower case."""
    on_failure: FailurePolicy = FailurePolicy.DEAD_LETTER
    """After the last attempt: `block`, `dead_letter` or `park`."""
    on_failure_by_topic: Mapping[str, FailurePolicy] = field(default_factory=dict)
    """Topic = policy, where it differs."""
    no_headers: tuple[str, ...] = ()
    """Topics whose records carry no headers, as today's processor writes them."""
    on_published: Literal["mark", "delete"] = "mark"
    """`mark` sets PUBLISHED and published_at; `delete` removes the row."""
    retention_days: Annotated[float, Meta(ge=0)] = 7.0
    """Days that PUBLISHED rows are kept; 0 keeps them for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """The relay daemon."""

    id: str = ""
    """This relay's name; empty: host name and process id. Two live relays cannot share one."""
    shards: Annotated[int, Meta(ge=1, le=1024)] = 16
    """Parts that aggregates are hashed into and relays share out; the same in every relay of one outbox."""
    lanes: Annotated[int, Meta(ge=1, le=16)] = 2
    """Shard groups that one relay works on at the same time, each with a database connection and a producer."""
    batch_size: Annotated[int, Meta(ge=1, le=50_000)] = 2000
    """Most events in one batch of a lane."""
    batch_bytes: Annotated[int, Meta(ge=1024)] = 16_000_000
    """Payload bytes after which a batch is cut; bounds memory."""
    poll_interval: Seconds = 0.1
    """Seconds between looks at an outbox that was empty."""
    wake: Literal["auto", "poll"] = "auto"
    """`auto` also LISTENs where the trigger is installed and no transaction pooler stands between."""
    lease_seconds: Annotated[float, Meta(ge=1)] = 10.0
    """Seconds after which the shards of a relay that died are taken over."""
    stop_timeout: Seconds = 20.0
    """Seconds that a stopping relay gives to what is in flight."""
    max_attempts: Positive = 5
    """Attempts of one event, the first included."""
    retry_base: Seconds = 1.0
    """Seconds before the second attempt; doubled for each that follows."""
    retry_cap: Seconds = 60.0
    """Seconds, the longest wait between attempts."""
    aggregate_types: tuple[str, ...] = ()
    """Only these aggregate types are relayed; empty: all."""
    percentage: Annotated[int, Meta(ge=0, le=100)] = 100
    """Percent of the aggregates, by hash, that are relayed."""
    skip_locked: bool = False
    """Leave rows alone that another processor holds locked; for the time beside the Java processor."""
    shadow: bool = False
    """Read and report, write nothing anywhere."""
    cleanup_interval: Seconds = 300.0
    """Seconds between the leader's rounds of cleanup and adoption of stale FAILED rows."""
    adopt_failed_after: Seconds = 90.0
    """Seconds after which a FAILED row with attempts left that nobody retries is set PENDING again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """/livez, /readyz and /metrics of a daemon."""

    enabled: bool = True
    """False: no port is opened."""
    host: str = "127.0.0.1"
    """The address to bind."""
    port: Port = 9464
    """The port; 0 takes a free one and logs it."""
    ready_max_age: Seconds = 60.0
    """Seconds; not ready when the oldest pending event is older."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """The log of a daemon, on stderr."""

    format: Literal["auto", "console", "json"] = "auto"
    """`auto` is console on a terminal, JSON elsewhere."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level shown."""

"""The relay, and what every daemon has."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from ticketops.options.types import Percentage, Port, Positive, Seconds


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
    percentage: Percentage = 100
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

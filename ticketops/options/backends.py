"""Where the backends are."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ticketops.options.types import Seconds


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
    answer_timeout: float = 5.0
    """Seconds to wait for the brokers to say which topics there are."""
    properties: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)
    """Any librdkafka setting (TLS, SASL, tuning); wins over TicketOps' own."""

"""The booking worker's Redis or Valkey: where it is, and how its keys are named."""

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from ticketops.options.types import Seconds

Days = Annotated[float, Meta(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTlsOptions:
    """TLS of the connection, for a URL that begins with rediss://."""

    ca_file: str = ""
    """A file with the certificates that are trusted; empty: the system's."""
    certificate_file: str = ""
    """This client's certificate; empty: none."""
    key_file: str = ""
    """The key of this client's certificate."""
    verify: bool = True
    """False: any certificate is taken. For tests only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisQueueOptions:
    """The booking worker's queues and their dead letters: key names, after the prefix of a queue, and times to live."""

    dead_items: str = "booking:dlq:items"
    """Sorted set: dead-letter id, failure time in Unix seconds."""
    dead_bodies: str = "booking:dlq:"
    """Beginning of the keys of dead letters; the id follows."""
    dead_stats: str = "booking:dlq:stats"
    """Hash: counters of the worker."""
    lists: str = "booking-queue:"
    """Beginning of the lists that the worker takes items from; the show follows."""
    active: str = "booking:active-queues"
    """Set: shows with a list that is not empty."""
    item_map: str = "booking:item-event-map"
    """Hash: item id, show."""
    positions: str = "booking-queue-positions:"
    """Beginning of sorted sets: item id, enqueue time in Unix nanoseconds."""
    timeouts: str = "booking-timeouts:"
    """Beginning of sorted sets: item id, expiry in Unix seconds."""
    own: str = "ticketops:dlq:"
    """Beginning of TicketOps' own keys: who moved an item, and how often it was put back."""
    work: str = "ticketops:work:"
    """Beginning of TicketOps' own keys of `worker bookings`: what is in hand, what waits, pauses."""
    expiry: Seconds = 900.0
    """Seconds until an item that was put back expires."""
    body_days: Days = 30.0
    """Days that a dead letter is kept, where it does not say so itself."""
    moved_days: Days = 7.0
    """Days that it is known which operation moved an item."""
    requeues_days: Days = 90.0
    """Days after its last requeue that the requeues of an item are still counted; longer than a dead letter lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """The booking worker's Redis or Valkey."""

    url: str = field(default="redis://localhost:6379/0", repr=False)
    """redis://, rediss:// or unix://, with user, password and database. Secret."""
    url_file: str = ""
    """A file that holds the URL, read instead of `url`."""
    password_file: str = ""
    """A file that holds the password alone."""
    cluster: bool = False
    """True: a Redis Cluster; the URL names any of its nodes."""
    sentinels: tuple[str, ...] = ()
    """host:port of Sentinels, which say where the master is; the URL gives user, password and database only."""
    sentinel_service: str = "mymaster"
    """The master's name at the Sentinels."""
    sentinel_username: str = ""
    """User name at the Sentinels."""
    sentinel_password: str = field(default="", repr=False)
    """Password at the Sentinels. Secret."""
    sentinel_password_file: str = ""
    """A file that holds the password at the Sentinels."""
    connect_timeout: Seconds = 5.0
    """Seconds to wait for a connection."""
    answer_timeout: Seconds = 10.0
    """Seconds after which a command without an answer is given up."""
    health_check_interval: Seconds = 30.0
    """Seconds of idleness after which a connection is tried before it is used."""
    tls: RedisTlsOptions = field(default_factory=RedisTlsOptions)
    queue: RedisQueueOptions = field(default_factory=RedisQueueOptions)

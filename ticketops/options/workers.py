"""The workers: what all of them have, payments, emails, and bookings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from ticketops.domain.header_style import HeaderStyle
from ticketops.options.types import Natural, Percentage, Positive, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentsOptions:
    """`ticketops worker payments`."""

    topic: str = "payment-events"
    """The topic that it reads."""
    group: str = "booking-service"
    """Its consumer group."""
    retry_topics: Mapping[str, Seconds] = field(default_factory=dict)
    """Topic = seconds to wait in it, in the order in which a record whose attempts are used up passes them."""
    release: Literal["event", "http", "grpc"] = "event"
    """How seats are released: `event` writes SEATS_RELEASED to the outbox, `http` and `grpc` call `release_url`."""
    release_url: str = ""
    """Where `http` sends a POST; {booking_id}, {event_id} and {reference} in it are filled in. For `grpc`
    grpc://HOST:PORT/package.Service/Method, or grpcs:// with TLS."""
    release_fields: Mapping[str, Positive] = field(default_factory=dict)
    """Of `grpc`: what of booking_id, reference, event_id, user_id, payment_id, seat_count and seat_numbers the request
    has = its field number."""
    release_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers of that call (metadata of `grpc`), such as Authorization. Secret."""
    release_timeout: Seconds = 3.0
    """Seconds that a release may take before it becomes a row of failed_compensations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedEmail:
    """The email of a confirmed booking."""

    template: str = "booking_confirmation"
    """Template name; empty: no email is made."""
    variables: Mapping[str, str] = field(
        default_factory=lambda: {
            "booking_reference": "bookingReference",
            "booking_id": "bookingId",
            "event_id": "eventId",
            "total_amount": "totalAmount",
            "currency": "currency",
            "seat_count": "seatCount",
            "seat_numbers": "seatNumbers",
            "payment_reference": "paymentReference",
            "confirmed_at": "confirmedAt",
        }
    )
    """Variable of the template = field of the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledEmail:
    """The email of a cancelled booking."""

    template: str = "booking_cancellation"
    """Template name; empty: no email is made."""
    variables: Mapping[str, str] = field(
        default_factory=lambda: {
            "booking_reference": "bookingReference",
            "booking_id": "bookingId",
            "event_id": "eventId",
            "cancellation_reason": "cancellationReason",
            "cancelled_at": "cancelledAt",
        }
    )
    """Variable of the template = field of the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEmail:
    """The email of a booking that failed."""

    template: str = "booking_failed"
    """Template name; empty: no email is made."""
    variables: Mapping[str, str] = field(
        default_factory=lambda: {
            "booking_reference": "bookingReference",
            "booking_id": "bookingId",
            "event_id": "eventId",
            "failure_reason": "failureReason",
        }
    )
    """Variable of the template = field of the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailsOptions:
    """`ticketops worker emails`."""

    topic: str = "booking-events"
    """The topic that it reads."""
    group: str = "email-worker"
    """Its consumer group."""
    retry_topics: Mapping[str, Seconds] = field(default_factory=dict)
    """Topic = seconds to wait in it, in the order in which a record whose attempts are used up passes them."""
    url: str = field(default="", repr=False)
    """The email worker's database, with TicketOps' own tables; empty: postgres.url. Secret."""
    url_file: str = ""
    """A file that holds the URL, read instead of `url`."""
    schema: str = ""
    """The schema of its tables; empty: postgres.schema."""
    table: str = "email_jobs"
    """The table of jobs."""
    list: str = "email-jobs"
    """The Redis list that the email workers take jobs from."""
    priority: Annotated[int, Meta(ge=1, le=3)] = 2
    """1 high, 3 low."""
    max_retries: Natural = 3
    """Written into each job: retries of the email workers."""
    recipients: Literal["sql", "http"] = "sql"
    """How addresses are found: `sql` runs `recipients_query`, `http` asks `recipients_url`."""
    recipients_query: str = ""
    """SQL that answers addresses, one a row, of %(user_id)s; %(booking_id)s, %(reference)s and %(event_id)s too."""
    recipients_url: str = ""
    """Where `http` sends a GET; {user_id}, {booking_id}, {reference} and {event_id} in it are filled in."""
    recipients_field: str = "email"
    """The field of the JSON answer that holds an address or a list of them; dots lead into objects."""
    recipients_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers of that call, such as Authorization. Secret."""
    recipients_timeout: Seconds = 3.0
    """Seconds that it may take."""
    confirmed: ConfirmedEmail = field(default_factory=ConfirmedEmail)
    cancelled: CancelledEmail = field(default_factory=CancelledEmail)
    failed: FailedEmail = field(default_factory=FailedEmail)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingsOptions:
    """`ticketops worker bookings`; it heeds threads, percentage, member, circuits, max_bytes and stop_timeout too."""

    prefix: str = ""
    """Put before every key of redis.queue, as in dlq.queues.NAME.prefix."""
    processor: Literal["http", "python"] = "http"
    """What processes an item: `http` sends it to `url`, `python` calls `function`."""
    url: str = ""
    """Where `http` sends a POST with the item's JSON; {item_id}, {event_id} and {user_id} in it are filled in."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Headers of that call, such as Authorization. Secret."""
    function: str = ""
    """What `python` calls with each item, as module:function."""
    timeout: Seconds = 10.0
    """Seconds that processing an item may take."""
    max_attempts: Positive = 3
    """Attempts in all, those included that a worker died in."""
    retry_base: Seconds = 5.0
    """Seconds; the wait after the first attempt is twice as long, after the second four times."""
    retry_cap: Seconds = 30.0
    """Seconds, the longest wait between attempts."""
    lease_seconds: Annotated[float, Meta(ge=1)] = 30.0
    """Seconds after which the items in the hands of a worker that died are taken by others."""
    poll_interval: Seconds = 0.1
    """Seconds between looks at queues that were empty."""
    batch_size: Annotated[int, Meta(ge=1, le=100)] = 32
    """Most items that a thread takes at once; where processing is slow it takes one."""
    order: Literal["fair", "oldest"] = "fair"
    """`fair` serves the shows in turn, `oldest` the show whose next item is the oldest."""
    expired: Literal["remove", "dead_letter"] = "remove"
    """What becomes of an item that expired before its first attempt; `remove` is what the Go worker does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What every worker has; those of bookings say which of it they heed."""

    threads: Annotated[int, Meta(ge=1, le=64)] = 4
    """Threads that handle records, each with a database connection; a key's records never run side by side."""
    batch_size: Annotated[int, Meta(ge=1, le=5000)] = 200
    """Most records in one transaction."""
    percentage: Percentage = 100
    """Percent of the keys, by hash, that are handled; the rest is left to others. Below 100 the group gets a name of
    its own, so that the others keep theirs."""
    member: str = ""
    """This process' name in the group (static membership), so that a quick restart moves no partition; empty: none."""
    max_attempts: Positive = 5
    """Attempts of one record, the first included."""
    retry_base: Seconds = 0.5
    """Seconds before the second attempt; doubled for each that follows."""
    retry_cap: Seconds = 30.0
    """Seconds, the longest wait between attempts."""
    circuit_failures: Positive = 5
    """Consecutive failures of a called service after which it is given a rest."""
    circuit_rest: Seconds = 60.0
    """Seconds of that rest."""
    circuit_trials: Positive = 3
    """Calls tried after it; as many successes close the circuit."""
    circuit_patience: Seconds = 600.0
    """Seconds that a record waits for a circuit to close before it is a dead letter."""
    message_timeout: Seconds = 30.0
    """Seconds that a batch may take; after twice that the process ends, and its records are handled alone."""
    max_deaths: Positive = 3
    """Deaths of a process with one record alone in hand, after which that record is a dead letter."""
    max_bytes: Positive = 1_000_000
    """Bytes of a value; a larger one is a dead letter."""
    max_waiting: Positive = 1000
    """Records of one partition that are read and not finished, after which the partition is paused."""
    buffer_bytes: Annotated[int, Meta(ge=1024)] = 64_000_000
    """Bytes of records that one process holds, after which it reads no more."""
    commit_interval: Seconds = 1.0
    """Seconds between commits of offsets."""
    revoke_timeout: Seconds = 10.0
    """Seconds that a rebalance waits for what is in hand."""
    stop_timeout: Seconds = 20.0
    """Seconds that a stopping worker gives to what is in hand."""
    dead_letter_suffix: Annotated[str, Meta(min_length=1)] = ".dlq"
    """Added to a topic's name for its dead letters."""
    header_style: HeaderStyle = HeaderStyle.SPRING
    """Whose header names dead letters carry: `spring` or `connect`."""
    stack_limit: Annotated[int, Meta(ge=0, le=500_000)] = 16_384
    """Bytes of a stack trace in a dead letter."""
    shadow_delay: Seconds = 5.0
    """Seconds after which a shadow looks whether the others did what it would have done."""
    payments: PaymentsOptions = field(default_factory=PaymentsOptions)
    emails: EmailsOptions = field(default_factory=EmailsOptions)
    bookings: BookingsOptions = field(default_factory=BookingsOptions)

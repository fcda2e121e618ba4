"""The headers that our own dead letters carry, and those of a record that is put back."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from ticketops.domain.deadletters import Headers
from ticketops.domain.header_style import HeaderStyle
from ticketops.domain.record_headers.families import CONNECT, SPRING
from ticketops.domain.record_headers.model import Position
from ticketops.domain.record_headers.names import (
    ATTEMPTS,
    FAILED_AT,
    REASON,
    REDRIVE_AT,
    REDRIVE_COUNT,
    REDRIVE_OF,
    REDRIVE_OP,
)
from ticketops.domain.record_headers.stripping import business_headers
from ticketops.domain.record_headers.values import rfc3339

_CUT = "\n… cut"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a record is given up."""

    error_class: str
    """The exception as caught."""
    cause_class: str = ""
    """The exception that caused it; empty where there is none."""
    message: str
    stack: str = ""
    reason: str
    """invalid_data, timeout, service_error, max_retries_exceeded, circuit_breaker_open or unknown."""
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRecord:
    """The record that is given up, as it was read."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime | None
    """None where the record has none."""
    timestamp_type: str = "CreateTime"
    """Or LogAppendTime."""
    group: str
    """The consumer group."""
    consumer: str = ""
    """The worker's name."""
    headers: Headers = ()


def dead_letter_headers(
    failure: Failure, record: FailedRecord, *, style: HeaderStyle = HeaderStyle.SPRING, stack_limit: int = 16_384
) -> Headers:
    """The headers of a dead letter in their order: those of the record, then why it died.

    What an earlier death wrote of the place stays, since the first place is the origin; what it wrote of the
    exception stays in Connect's style only, whose readers expect whole sets. The stack is cut to `stack_limit` bytes.
    """
    stack = capped(failure.stack, stack_limit)
    if style is HeaderStyle.CONNECT:
        kept, own = record.headers, _connect(failure, record, stack)
    else:
        kept = tuple(header for header in record.headers if not header[0].startswith(_SPRING_ERRORS))
        own = _spring(failure, record, stack)
    kept = tuple(header for header in kept if header[0] not in {REASON, ATTEMPTS})
    ours = ((REASON, failure.reason.encode()), (ATTEMPTS, str(failure.attempts).encode()))
    return (*kept, *own, *ours)


_SPRING_ERRORS = (f"{SPRING}exception-", f"{SPRING}key-exception-", "kafka_exception-", "kafka_key-exception-")


def _spring(failure: Failure, record: FailedRecord, stack: bytes) -> Headers:
    """As spring-kafka's DeadLetterPublishingRecoverer writes them: int32 and int64, big-endian."""
    cause = ((f"{SPRING}exception-cause-fqcn", _utf8(failure.cause_class)),) if failure.cause_class else ()
    trace = ((f"{SPRING}exception-stacktrace", stack),) if stack else ()
    time = -1 if record.timestamp is None else milliseconds(record.timestamp)
    return (
        (f"{SPRING}exception-fqcn", _utf8(failure.error_class)),
        *cause,
        (f"{SPRING}exception-message", _utf8(failure.message)),
        *trace,
        (f"{SPRING}original-topic", _utf8(record.topic)),
        (f"{SPRING}original-partition", record.partition.to_bytes(4, signed=True)),
        (f"{SPRING}original-offset", record.offset.to_bytes(8, signed=True)),
        (f"{SPRING}original-timestamp", time.to_bytes(8, signed=True)),
        (f"{SPRING}original-timestamp-type", _utf8(record.timestamp_type)),
        (f"{SPRING}original-consumer-group", _utf8(record.group)),
    )


def _connect(failure: Failure, record: FailedRecord, stack: bytes) -> Headers:
    """As Connect's DeadLetterQueueReporter writes them: strings."""
    return (
        (f"{CONNECT}topic", _utf8(record.topic)),
        (f"{CONNECT}partition", str(record.partition).encode()),
        (f"{CONNECT}offset", str(record.offset).encode()),
        (f"{CONNECT}connector.name", _utf8(record.consumer or record.group)),
        (f"{CONNECT}task.id", b"0"),
        (f"{CONNECT}stage", b"VALUE_CONVERTER" if failure.reason == "invalid_data" else b"TASK_PUT"),
        (f"{CONNECT}class.name", _utf8(record.consumer or record.group)),
        (f"{CONNECT}exception.class.name", _utf8(failure.cause_class or failure.error_class)),
        (f"{CONNECT}exception.message", _utf8(failure.message)),
        (f"{CONNECT}exception.stacktrace", stack),
    )


def redriven(headers: Headers, *, count: int, operation: UUID, of: Position, at: datetime) -> Headers:
    """The headers of a record that is put back for the `count`-th time: its own, and where it comes from."""
    return (
        *business_headers(headers),
        (REDRIVE_COUNT, str(count).encode()),
        (REDRIVE_OP, str(operation).encode()),
        (REDRIVE_OF, str(of).encode()),
        (REDRIVE_AT, rfc3339(at)),
    )


def brought_in(headers: Headers, failed_at: datetime | None) -> Headers:
    """The headers of a dead letter that comes from elsewhere, with the time of its death."""
    own = tuple(header for header in headers if header[0] != FAILED_AT)
    return own if failed_at is None else (*own, (FAILED_AT, rfc3339(failed_at)))


def capped(stack: str, limit: int) -> bytes:
    """UTF-8 in at most `limit` bytes: the beginning and the end, where the deepest cause stands."""
    whole = _utf8(stack)
    mark = _utf8(f"{_CUT} {len(whole) - limit} bytes …\n")
    if len(whole) <= limit:
        return whole
    room = max(0, limit - len(mark))
    head, tail = whole[: room - room // 2], whole[len(whole) - room // 2 :] if room // 2 else b""
    return (head.decode(errors="ignore").encode() + mark + tail.decode(errors="ignore").encode())[:limit]


def milliseconds(time: datetime) -> int:
    """Since 1970, as Kafka has it."""
    passed = time - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1000 + passed.microseconds // 1000


def _utf8(value: str) -> bytes:
    return value.encode("utf-8", "replace")

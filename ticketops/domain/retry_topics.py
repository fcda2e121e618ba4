"""Records on their way through retry topics: the headers that spring-kafka writes and reads there.

`retry_topic-attempts` is an int32, the two times are signed big-endian numbers; each hop adds its own, the last counts.
"""

from ticketops.domain.consuming import Due, Record
from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers.values import big_endian
from ticketops.domain.record_headers.writing import milliseconds

ATTEMPTS = "retry_topic-attempts"
DUE = "retry_topic-backoff-timestamp"
_FIRST_TIME = "retry_topic-original-timestamp"
_TOPIC = "kafka_original-topic"
_LONGEST_WAIT = 7 * 86_400.0
"""Seconds; what claims to be due later is due at once."""


def attempts_before(record: Record) -> int:
    """Attempts made before the record came here; 0 where no retry topic was passed."""
    return max(0, (big_endian(_last(record.headers, ATTEMPTS)) or 1) - 1)


def due_in(record: Record, now: float) -> float:
    """Seconds after `now`, in seconds since 1970, until it may be handled; at most a week, never negative."""
    due = big_endian(_last(record.headers, DUE))
    wait = 0.0 if due is None else due / 1000 - now
    return wait if 0 < wait <= _LONGEST_WAIT else 0.0


def first_topic(record: Record) -> str:
    """The topic that it came from before any retry topic."""
    value = next((value for name, value in record.headers if name == _TOPIC), None)
    return value.decode(errors="replace") if value else record.topic


def retry_headers(due: Due) -> Headers:
    """The record's own headers, where it came from, and when it is due; what an earlier hop said is replaced."""
    record = due.death.record
    kept = tuple(header for header in record.headers if header[0] not in {ATTEMPTS, DUE, _FIRST_TIME})
    came = () if any(name == _TOPIC for name, _ in kept) else _origin(due)
    first = _last(record.headers, _FIRST_TIME) or _number(record.timestamp)
    return (
        *kept,
        *came,
        (ATTEMPTS, (due.attempts + 1).to_bytes(4, signed=True)),
        (_FIRST_TIME, first),
        (DUE, _number(milliseconds(due.at))),
    )


def _origin(due: Due) -> Headers:
    record = due.death.record
    return (
        (_TOPIC, record.topic.encode()),
        ("kafka_original-partition", record.position.partition.number.to_bytes(4, signed=True)),
        ("kafka_original-offset", record.position.offset.to_bytes(8, signed=True)),
        ("kafka_original-timestamp", _number(record.timestamp)),
        ("kafka_original-timestamp-type", record.timestamp_type.encode()),
        ("kafka_dlt-original-consumer-group", due.death.group.encode()),
    )


def _number(value: int) -> bytes:
    return value.to_bytes(8, signed=True)


def _last(headers: Headers, wanted: str) -> bytes | None:
    return next((value for name, value in reversed(headers) if name == wanted), None)

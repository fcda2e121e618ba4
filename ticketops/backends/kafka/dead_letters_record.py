"""A record of a dead-letter topic: as read, as an entry of the index, as a dead letter, and as stored elsewhere."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import msgspec

from ticketops.domain.deadletters import BodyState, DeadLetter, Headers, QueueKind
from ticketops.domain.ledger import Entry, Place, RecordState, Row
from ticketops.domain.record_headers import Death, Position, read_death, stack_outline

if TYPE_CHECKING:
    from confluent_kafka import Message

UNKNOWN_REASON = "unknown"
_INDEXED_MESSAGE = 2_000
_INDEXED_KEY = 1_000
_LATEST = 253_402_300_799_999
GONE = "the record is gone: retention, compaction or a deletion took it"
_outline = lru_cache(maxsize=256)(stack_outline)


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a consumer gets it."""

    place: Place
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int
    """Milliseconds since 1970; negative: none."""

    @property
    def time(self) -> datetime | None:
        """The record's time; None where it has none."""
        return datetime.fromtimestamp(self.timestamp / 1000, UTC) if 0 <= self.timestamp <= _LATEST else None

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


def record_of(message: "Message") -> Record:
    """What a consumer got, with names of headers as text."""
    pairs = cast("list[tuple[str, str | bytes | None]]", message.headers() or [])
    headers = tuple((name, _bytes(value)) for name, value in pairs)
    kind, timestamp = message.timestamp()
    place = Place(message.partition() or 0, message.offset() or 0)
    return Record(place, _bytes(message.key()), _bytes(message.value()), headers, timestamp if kind else -1)


def _bytes(value: "str | bytes | None") -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def entry_of(topic: str, record: Record, death: Death) -> Entry:
    """What the index keeps of a record; its origin is that of this death alone."""
    position = death.origin.position or Position(topic, *record.place)
    return Entry(
        place=record.place,
        failed_at=death.failed_at or record.time,
        key=key_text(record.key)[:_INDEXED_KEY],
        reason=death.reason or UNKNOWN_REASON,
        error_class=death.error_class,
        message=death.message[:_INDEXED_MESSAGE],
        outline=_outline(death.stack) if death.stack else "",
        family=death.family.value,
        origin=str(position),
        destination=death.origin.topic,
        group=death.origin.group or death.last.group,
        attempts=death.attempts,
        requeues=death.redrives,
        size=record.size,
        digest=digest_of(record),
    )


def key_text(key: bytes | None) -> str:
    """A key as text; hexadecimal where it is none."""
    if key is None:
        return ""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return f"0x{key.hex()}"


def digest_of(record: Record) -> str:
    """Of key, value and headers, each with its length."""
    pieces = [_measured(record.key), _measured(record.value)]
    for name, value in record.headers:
        pieces += (_measured_name(name), _measured(value))
    return hashlib.blake2b(b"".join(pieces), digest_size=16).hexdigest()


def _measured(part: bytes | None) -> bytes:
    return b"-" if part is None else b"%d:%b" % (len(part), part)


@lru_cache(maxsize=256)
def _measured_name(name: str) -> bytes:
    return _measured(name.encode())


def edited_digest(digest: str, payload: bytes) -> str:
    """Of a record with another payload."""
    return hashlib.blake2b(digest.encode() + payload, digest_size=16).hexdigest()


def letter_of(row: Row, record: Record | None, *, queue: str, topic: str, problem: str = GONE) -> DeadLetter:
    """A dead letter with all that its record holds; without a record its body is missing."""
    if record is None:
        return brief_letter(row, queue=queue, topic=topic, problem=problem)
    entry, death = row.entry, read_death(record.headers)
    return DeadLetter(
        id=str(Position(topic, *row.place)),
        queue=queue,
        kind=QueueKind.KAFKA,
        key=key_text(record.key),
        origin=entry.origin,
        reason=entry.reason,
        error_class=death.error_class,
        error_message=death.message,
        stack=death.stack,
        attempts=entry.attempts,
        requeues=entry.requeues,
        failed_at=entry.failed_at,
        last_attempt_at=entry.failed_at,
        payload=record.value if row.payload is None else row.payload,
        headers=record.headers,
        metadata=_metadata(row, death, record),
        destination=entry.destination,
        stored=stored(record),
        place={"topic": topic, "partition": str(row.place.partition), "offset": str(row.place.offset)},
        digest=row.digest,
    )


def brief_letter(row: Row, *, queue: str, topic: str, problem: str = "") -> DeadLetter:
    """A dead letter from the index alone; a problem says that its record is gone."""
    entry = row.entry
    return DeadLetter(
        id=str(Position(topic, *row.place)),
        queue=queue,
        kind=QueueKind.KAFKA,
        key=entry.key,
        origin=entry.origin,
        reason=entry.reason,
        error_class=entry.error_class,
        error_message=entry.message,
        stack=entry.outline,
        attempts=entry.attempts,
        requeues=entry.requeues,
        failed_at=entry.failed_at,
        last_attempt_at=entry.failed_at,
        metadata=_brief_metadata(row),
        body=BodyState.MISSING if problem else BodyState.PRESENT,
        problem=problem,
        destination=entry.destination,
        digest=row.digest,
    )


def _brief_metadata(row: Row) -> dict[str, str]:
    entry = row.entry
    found = {"written by": entry.family, "consumer group": entry.group}
    if row.state is RecordState.CLAIMED:
        found["claimed by"] = str(row.operation)
    if row.edit is not None:
        found["edited by"] = str(row.edit)
    return {name: value for name, value in found.items() if value}


def _metadata(row: Row, death: Death, record: Record) -> dict[str, str]:
    said = {
        "exception": death.wrapper if death.wrapper != death.error_class else "",
        "source": str(death.last.position or ""),
        "source time": death.origin.timestamp.isoformat() if death.origin.timestamp else "",
        "redriven by": death.redriven_by,
        "redriven from": str(death.redriven_from or ""),
        "time": "of the source record; when it died is not known" if death.family.keeps_source_time else "",
        "headers": "the record's own are at the source only" if death.family.loses_headers else "",
        "payload": "none: the record is a tombstone" if record.value is None and row.payload is None else "",
    }
    return _brief_metadata(row) | {name: value for name, value in said.items() if value}


class _Stored(msgspec.Struct):
    """The form of a record outside Kafka; base64, since it may be any bytes."""

    key: str | None
    value: str | None
    headers: list[tuple[str, str | None]]
    timestamp: int


def stored(record: Record) -> bytes:
    """A record complete, as JSON."""
    headers = [(name, _base64(value)) for name, value in record.headers]
    return msgspec.json.encode(_Stored(_base64(record.key), _base64(record.value), headers, record.timestamp))


def unstored(data: bytes, place: Place) -> Record | None:
    """The record that `stored` was made of; None where it is something else."""
    try:
        found = msgspec.json.decode(data, type=_Stored)
        headers = tuple((name, _from_base64(value)) for name, value in found.headers)
        return Record(place, _from_base64(found.key), _from_base64(found.value), headers, found.timestamp)
    except (msgspec.MsgspecError, ValueError):
        return None


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _from_base64(value: str | None) -> bytes | None:
    return None if value is None else base64.b64decode(value, validate=True)

"""What the headers of a dead letter say, whoever wrote them."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What a broker takes for a name (org.apache.kafka.common.internals.Topic)."""
LAST_PARTITION, LAST_OFFSET = 2**31 - 1, 2**63 - 1


def topic_name(text: str) -> str:
    """The text where it can name a topic; else empty."""
    return text if _TOPIC.fullmatch(text) and text not in {".", ".."} else ""


class Family(StrEnum):
    """Who wrote the headers of a dead letter."""

    CONNECT = "kafka connect"
    SPRING = "spring"
    SPRING_RETRY = "spring retry topics"
    CLOUD_STREAM = "spring cloud stream"
    SMALLRYE = "smallrye"
    STREAMS = "kafka streams"
    SHARE_GROUP = "share group"
    UNKNOWN = "unknown"

    @property
    def keeps_source_time(self) -> bool:
        """True where the dead letter carries its source's time, at which retention looks."""
        return self in {Family.CONNECT, Family.STREAMS}

    @property
    def loses_headers(self) -> bool:
        """True where the record's own headers, and perhaps its key and value, are at the source only."""
        return self is Family.SHARE_GROUP


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """One place in a topic; TOPIC/PARTITION/OFFSET as text."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The position that a text names; None where it names none."""
        if not text:
            return None
        parts = text.split("/")
        if len(parts) != 3 or not topic_name(parts[0]):  # noqa: PLR2004 - topic, partition, offset
            return None
        if not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in parts[1:]):  # noqa: PLR2004
            return None
        partition, offset = int(parts[1]), int(parts[2])
        return cls(parts[0], partition, offset) if partition <= LAST_PARTITION and offset <= LAST_OFFSET else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a dead letter came from, as far as it says so."""

    topic: str = ""
    partition: int | None = None
    offset: int | None = None
    timestamp: datetime | None = None
    """The time of the source record."""
    group: str = ""
    """The consumer group that failed."""

    @property
    def position(self) -> Position | None:
        """None unless topic, partition and offset are all known."""
        if not self.topic or self.partition is None or self.offset is None:
            return None
        return Position(self.topic, self.partition, self.offset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """Why and where a record died."""

    family: Family = Family.UNKNOWN
    """Who wrote the present failure."""
    origin: Source = field(default_factory=Source)
    """Where it came from at first: a requeue goes there."""
    last: Source = field(default_factory=Source)
    """Where it was read when it died this time."""
    error_class: str = ""
    """What to group by: the deepest cause; empty where only a wrapper is known."""
    wrapper: str = ""
    """The exception's class as written."""
    message: str = ""
    """Without the prefixes that say nothing."""
    stack: str = ""
    attempts: int | None = None
    reason: str = ""
    """As our own consumers write it; elsewhere derived, empty where nothing says it."""
    failed_at: datetime | None = None
    """When it died; None where only the record's own time says it."""
    key_failed: bool = False
    """The key did not deserialize."""
    redrives: int = 0
    """How often it was put back."""
    redriven_by: str = ""
    """The operation that put it back last."""
    redriven_from: Position | None = None
    """The dead letter that it was before it was put back."""

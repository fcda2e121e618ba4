"""One hop: what one writer added to a record when it died. A record can have died more than once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ticketops.domain.record_headers.model import LAST_OFFSET, LAST_PARTITION, Family, Source, topic_name
from ticketops.domain.record_headers.values import moment, text

Values = Mapping[str, bytes | None]
"""The headers of one set by their short names."""
Number = Callable[[bytes | None], int | None]


@dataclass(frozen=True, slots=True)
class Found:
    """One set of headers, in which no name repeats."""

    at: int
    """Where it begins in the list of headers."""
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """What one set says of the failure."""

    at: int
    family: Family
    wrapper: str = ""
    cause: str = ""
    message: str = ""
    stack: str = ""
    wraps: bool = False
    """The class is nearly always a wrapper, so it says nothing by itself."""
    key_failed: bool = False
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one set says that the record was read."""

    at: int
    family: Family
    source: Source


Named = Sequence[tuple[int, str, bytes | None]]
"""Headers of one kind: where they stand in the list, short name, value."""


def sets(present: Named, first: str) -> list[Found]:
    """The sets of one kind of headers, in their order.

    Where a name repeats, a set begins at `first`, or at a name that the set has already: a producer can put one of
    the names in itself, so the second of one name need not belong to the second of another.
    """
    if not present:
        return []
    repeats = len({name for _, name, _ in present}) < len(present)
    found: list[Found] = []
    values: dict[str, bytes | None] = {}
    for at, name, value in present:
        if not found or (repeats and (name == first or name in values)):
            values = {}
            found.append(Found(at, values))
        values[name] = value
    return found


def source_of(values: Values, number: Number, *, group: bytes | None = None) -> Source:
    """Topic, partition, offset, timestamp and consumer-group of a set; negative numbers are unknown."""
    return Source(
        topic=topic_name(text(values.get("topic"))),
        partition=_within(number(values.get("partition")), LAST_PARTITION),
        offset=_within(number(values.get("offset")), LAST_OFFSET),
        timestamp=moment(number(values.get("timestamp"))),
        group=text(group if group is not None else values.get("group")),
    )


def _within(number: int | None, last: int) -> int | None:
    return number if number is not None and 0 <= number <= last else None


def prefixed(prefix: str, names: Sequence[str]) -> dict[str, str]:
    """Header name → short name, where the short name is the end of it."""
    return {prefix + name: name for name in names}

"""One look at many groups, as the cluster answered it, and the samples that it gives."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ticketops.domain.lag.samples import GroupState, Sample


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


class Consumer(NamedTuple):
    """One group on one partition; what a window of samples belongs to."""

    group: str
    partition: Partition


@dataclass(frozen=True, slots=True)
class GroupName:
    """A group, as a list of groups has it."""

    group: str
    kind: str
    """`classic`, `consumer` (KIP-848), or `other`: a share, Streams or Connect group."""
    state: GroupState


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSeen:
    """One group as its coordinator described it."""

    group: str
    kind: str
    state: GroupState
    members: int = 0
    committed: Mapping[Partition, int | None] = field(default_factory=dict)
    """None: the coordinator knows the partition, and nothing is committed."""
    holders: Mapping[Partition, str] = field(default_factory=dict)
    """Who holds each assigned partition, as `client id @ host`."""
    error: str = ""
    """Why it could not be looked at."""


@dataclass(frozen=True, slots=True)
class LogRange:
    """The offsets that a log has now."""

    start: int
    end: int
    stable_end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Committed offsets first, then the logs' ends, taken together."""

    at: datetime
    groups: tuple[GroupSeen, ...]
    logs: Mapping[Partition, LogRange]
    failed: Mapping[Partition, str] = field(default_factory=dict)
    """Why a partition's offsets could not be told."""


def samples(look: Look) -> Iterator[tuple[Consumer, Sample]]:
    """The look as one sample for each group and partition that it has committed to or holds."""
    for seen in look.groups:
        for partition in sorted({*seen.committed, *seen.holders}):
            yield Consumer(seen.group, partition), _sample(look, seen, partition)


def _sample(look: Look, seen: GroupSeen, partition: Partition) -> Sample:
    log = look.logs.get(partition)
    error = seen.error or look.failed.get(partition, "" if log else "the topic's offsets were not told")
    if error or log is None:
        return Sample(at=look.at, error=error)
    return Sample(
        at=look.at,
        committed=seen.committed.get(partition),
        start=log.start,
        end=log.end,
        stable_end=log.stable_end,
        state=seen.state,
        assigned=partition in seen.holders,
    )

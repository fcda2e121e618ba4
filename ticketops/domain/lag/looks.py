"""One look at many groups, as the cluster answered it, and the samples that it gives."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from ticketops.domain.lag.samples import GroupState, Sample, last_good


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


@dataclass(frozen=True, slots=True)
class GroupList:
    """The groups that the brokers which answered know."""

    groups: tuple[GroupName, ...]
    missing: str = ""
    """Why some may be missing: a broker that did not answer; empty where all did."""


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
    topics: Collection[str] | None = None
    """Every topic that there is; None where that is not known."""


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


def absent(
    consumer: Consumer, window: Sequence[Sample], seen: GroupSeen | None, look: Look, missing: str
) -> Sample | None:
    """What a look says of a consumer of the window that it does not have; None: nothing any more.

    Of what is gone the window's last good looks tell, until they are too old. `seen` is its group in the look;
    `missing`: why groups may not be listed.
    """
    if seen is None and missing:
        return Sample(at=look.at, error=f"not listed: {missing}")
    if seen is not None and seen.error:
        return Sample(at=look.at, error=seen.error)
    last = last_good(window)
    if last is None:
        return None
    if seen is None:
        return Sample(at=look.at, error="the group is gone")
    if look.topics is not None and consumer.partition.topic not in look.topics:
        told = any(sample.committed is not None for sample in window)
    else:
        told = last.committed is not None or last.end > last.start
    return replace(last, at=look.at, committed=None, assigned=False, state=seen.state) if told else None

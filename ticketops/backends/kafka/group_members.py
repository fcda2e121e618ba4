"""Who is in a consumer group and holds which partitions, as the driver's two ways to ask tell it."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin._group import ConsumerGroupDescription

from ticketops.domain.lag.looks import Partition
from ticketops.domain.lag.samples import GroupState

_CLASSIC: Final = "consumer"
"""The protocol type of classic consumer groups, whose assignments have the form below."""
_NAMED: Final[Mapping[str | None, GroupState]] = {
    "Stable": GroupState.STABLE,
    "Empty": GroupState.EMPTY,
    "PreparingRebalance": GroupState.REBALANCING,
    "CompletingRebalance": GroupState.REBALANCING,
}
_STATES: Final[Mapping[Enum | None, GroupState]] = {
    ConsumerGroupState.STABLE: GroupState.STABLE,
    ConsumerGroupState.EMPTY: GroupState.EMPTY,
    ConsumerGroupState.DEAD: GroupState.DEAD,
    ConsumerGroupState.PREPARING_REBALANCING: GroupState.REBALANCING,
    ConsumerGroupState.COMPLETING_REBALANCING: GroupState.REBALANCING,
}


@dataclass(frozen=True, slots=True)
class Members:
    """A group's members."""

    state: GroupState
    number: int = 0
    holders: Mapping[Partition, str] = field(default_factory=dict)
    """Who holds each assigned partition, as `client id @ host`."""


def members_listed(group: Any) -> Members | None:  # noqa: ANN401 - the driver declares the fields of GroupMetadata as None
    """From the list of all groups, which one request a broker brings; None where it does not tell them.

    That is so of groups of the new protocol, and of those that are nobody's consumer.
    """
    state = _NAMED.get(group.state)
    if group.error is not None or group.protocol_type != _CLASSIC or state is None:
        return None
    try:
        holders = {
            partition: _named(one.client_id, one.client_host)
            for one in group.members
            for partition in _assigned(one.assignment or b"")
        }
    except (struct.error, UnicodeDecodeError):
        return None
    return Members(state, len(group.members), holders)


def members_described(group: ConsumerGroupDescription) -> Members:
    """From the description of one group."""
    holders = {
        Partition(held.topic, held.partition): _named(one.client_id, one.host)
        for one in group.members
        for held in one.assignment.topic_partitions
    }
    return Members(state_of(group.state), len(group.members), holders)


def state_of(state: Enum | None) -> GroupState:
    """The driver's state as ours."""
    return _STATES.get(state, GroupState.UNKNOWN)


def _named(client: str, host: str) -> str:
    return f"{client} @ {host.removeprefix('/')}"


def _assigned(assignment: bytes) -> Iterator[Partition]:
    """ConsumerProtocolAssignment: a version, topics with their partitions, and bytes that are the assignor's own."""
    if not assignment:
        return
    _, topics = struct.unpack_from(">hi", assignment)
    at = 6
    for _ in range(topics):
        (length,) = struct.unpack_from(">h", assignment, at)
        topic = assignment[at + 2 : at + 2 + length].decode()
        at += 2 + length
        (number,) = struct.unpack_from(">i", assignment, at)
        for partition in struct.unpack_from(f">{number}i", assignment, at + 4):
            yield Partition(topic, partition)
        at += 4 + 4 * number

"""What `trace` says of consumer groups of which some do not answer, or have only just begun."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ticketops.domain.bookings import BOOKING
from ticketops.domain.lag.looks import GroupList, GroupName, GroupSeen, LogRange, Look, Partition
from ticketops.domain.lag.samples import GroupState
from ticketops.domain.trace.facts import Consumers, Expectations, Identity
from ticketops.services.side_by_side import Answer
from ticketops.services.trace.gather import Gathering
from ticketops.services.trace.places import Ground, Places
from ticketops.services.trace.tracer import source_state

PLACE = Partition("booking-events", 3)
WANTED = GroupSeen(group="email-worker", kind="classic", state=GroupState.STABLE, members=1, committed={PLACE: 7})


class Cluster:
    """Lists some groups, and knows more of them than it lists, as one with a silent broker does."""

    def __init__(self, listed: Sequence[str], seen: Sequence[GroupSeen], missing: str) -> None:
        self._listed, self._missing = listed, missing
        self._seen = {one.group: one for one in seen}

    def groups(self, timeout: float) -> GroupList:
        assert timeout > 0
        return GroupList(tuple(GroupName(name, "classic", GroupState.STABLE) for name in self._listed), self._missing)

    def look(self, groups: Sequence[GroupName], timeout: float) -> Look:
        assert timeout > 0
        nothing = GroupSeen(group="", kind="classic", state=GroupState.DEAD)
        seen = tuple(self._seen.get(one.group, replace(nothing, group=one.group)) for one in groups)
        return Look(at=datetime.now(UTC), groups=seen, logs={PLACE: LogRange(0, 9)})

    def stable_ends(self, partitions: Sequence[Partition], timeout: float) -> Mapping[Partition, int]:
        raise AssertionError((partitions, timeout))

    def records_at(self, offsets: Mapping[Partition, int], timeout: float) -> Mapping[Partition, datetime | None]:
        raise AssertionError((offsets, timeout))

    def close(self) -> None: ...


def consumers(listed: Sequence[str], *seen: GroupSeen, missing: str = "") -> Consumers:
    def nowhere(timeout: float) -> Any:
        raise AssertionError(timeout)

    places = Places(
        bookings=nowhere, story=nowhere, states=nowhere, outbox=nowhere, emails=nowhere, letters={},
        glances={}, items={},
        lag=lambda _: Cluster(listed, seen, missing), records=nowhere, store=nowhere,
        done=nowhere,
    )  # fmt: skip
    ground = Ground(
        expected=Expectations(machine=BOOKING, groups={"booking-events": "email-worker"}),
        topics={"BOOKING": "booking-events"},
        kinds={},
        payments_topic="payment-events",
        counts=lambda _: True,
    )
    return Gathering(places, ground, Identity(key="b-1"), ()).readers(1.0)


def test_a_group_that_a_silent_broker_does_not_list_is_asked_for_by_its_name() -> None:
    found = consumers([], WANTED, missing="broker 2 did not answer")
    assert source_state("consumer groups", Answer(value=found)).error == "broker 2 did not answer"
    assert [(one.group, one.committed, one.end) for one in found.readers] == [("email-worker", 7, 9)]
    assert found.members == {"email-worker": 1}


def test_a_group_that_nobody_knows_is_not_there() -> None:
    assert consumers(["other"]) == Consumers(readers=(), members={"other": 0})


def test_a_group_that_holds_a_partition_and_has_committed_nothing_is_a_reader() -> None:
    begun = replace(WANTED, committed={}, holders={PLACE: "email-1 @ host"})
    assert [(one.partition, one.committed) for one in consumers(["email-worker"], begun).readers] == [(3, None)]


def test_a_coordinator_that_does_not_answer_is_an_error_of_the_source_and_nothing_is_said_of_its_group() -> None:
    found = consumers(["email-worker"], replace(WANTED, committed={}, error="no answer in time"))
    assert (found.readers, found.members) == ((), {})
    assert source_state("consumer groups", Answer(value=found)).error == "email-worker: no answer in time"

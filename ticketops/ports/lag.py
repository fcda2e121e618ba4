"""Where consumer groups, their offsets and the logs' ends are read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from ticketops.domain.lag.looks import GroupList, GroupName, Look, Partition


class LagSource(Protocol):
    """A cluster with consumer groups; reads only, and joins no group. One instance serves one thread."""

    def groups(self, timeout: float) -> GroupList:
        """Every group that the brokers which answered know; BackendUnavailable where none does in time."""

    def look(self, groups: Sequence[GroupName], timeout: float) -> Look:
        """Committed offsets, then the ends of all logs that they are of, in few calls side by side.

        A group or a partition that cannot be read carries its error, the others are there: a coordinator or a broker
        that hangs costs its own. BackendUnavailable where no broker answers within `timeout` seconds.
        """

    def stable_ends(self, partitions: Sequence[Partition], timeout: float) -> Mapping[Partition, int]:
        """The last stable offsets, as far as they are told in time."""

    def records_at(self, offsets: Mapping[Partition, int], timeout: float) -> Mapping[Partition, datetime | None]:
        """The timestamp of the first record at or after each offset; None where a read finds no record any more.

        What cannot be told in time is left out.
        """

    def close(self) -> None:
        """Give up connections; idempotent."""

"""After a crash, what was in flight is sent in small batches, so that a payload that kills the process is found."""

from ticketops.domain.relay import Unfinished


class Careful:
    """The shards whose last owner died with a batch in flight; their batches begin with one event and double.

    As many events as were in flight are sent that way: reads are in order, so the suspects come first.
    """

    def __init__(self) -> None:
        self._left: dict[int, int] = {}
        self._size: dict[int, int] = {}

    def suspect(self, shard: int, unfinished: Unfinished) -> None:
        """A shard was taken over with this batch unfinished."""
        self._left[shard] = len(unfinished.event_ids)
        self._size[shard] = 1

    def next(self, shards: frozenset[int]) -> tuple[int, int] | None:
        """The shard to serve alone now, of those given, and how many events to send; None when all are trusted."""
        troubled = self._left.keys() & shards
        if not troubled:
            return None
        shard = min(troubled)
        return shard, self._size[shard]

    def sent(self, shard: int, count: int) -> None:
        """A batch of the shard was settled; none at all means that nothing is pending there."""
        if shard not in self._left:
            return
        self._left[shard] -= count
        self._size[shard] *= 2
        if not count or self._left[shard] <= 0:
            self.forget(shard)

    def forget(self, shard: int) -> None:
        """The shard is trusted again, or not ours any more."""
        self._left.pop(shard, None)
        self._size.pop(shard, None)

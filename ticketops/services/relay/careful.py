"""After a crash, what was in flight is sent in small batches, so that a payload that kills the process is found."""

from ticketops.domain.relay import Unfinished


class Careful:
    """The shards whose last owner died with a batch in flight; their batches begin with one event and double."""

    def __init__(self) -> None:
        self._suspects: dict[int, set[bytes]] = {}
        self._size: dict[int, int] = {}

    def suspect(self, shard: int, unfinished: Unfinished) -> None:
        """A shard was taken over with this batch unfinished."""
        self._suspects[shard] = set(unfinished.event_ids)
        self._size[shard] = 1

    def next(self, shards: frozenset[int]) -> tuple[int, int] | None:
        """The shard to serve alone now, of those given, and how many events to send; None when all are trusted."""
        troubled = self._suspects.keys() & shards
        if not troubled:
            return None
        shard = min(troubled)
        return shard, self._size[shard]

    def sent(self, shard: int, ids: tuple[bytes, ...]) -> None:
        """A batch of the shard was settled; none at all means that no suspect is left there."""
        if shard not in self._suspects:
            return
        self._suspects[shard].difference_update(ids)
        self._size[shard] *= 2
        if not ids or not self._suspects[shard]:
            self.forget(shard)

    def forget(self, shard: int) -> None:
        """The shard is trusted again, or not ours any more."""
        self._suspects.pop(shard, None)
        self._size.pop(shard, None)

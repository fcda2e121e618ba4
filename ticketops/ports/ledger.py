"""What is known of the records of dead-letter topics: their states, and an index of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from ticketops.domain.deadletters import Narrowing
from ticketops.domain.ledger import Entry, Log, Place, Row, Span, Standing


class Ledger(Protocol):
    """States and index, by cluster, topic, partition and offset. Every write is durable when the call returns.

    Several processes use one ledger at a time; a change of a state is conditional on the state it starts from.
    """

    @property
    def where(self) -> str:
        """Where this is kept, for people: a schema, or the path of a file."""

    @property
    def shared(self) -> bool:
        """False where only this machine's users see it."""

    def now(self) -> datetime:
        """The ledger's clock."""

    def begin(self, log: Log, incarnation: str) -> bool:
        """Say which incarnation of the topic this is; True where an earlier one was known, which is forgotten whole.

        An empty incarnation is unknown, and forgets nothing.
        """

    def positions(self, log: Log) -> dict[int, int]:
        """By partition, the first offset that is not in the index."""

    def add(self, log: Log, entries: Sequence[Entry], spans: Mapping[int, Span]) -> None:
        """Index what was read in these spans; what is in the index already is left as it is. Idempotent."""

    def rewind(self, log: Log, partition: int, offset: int) -> int:
        """Forget the records of a partition from `offset` on: the log was truncated there; how many it was."""

    def page(self, log: Log, partition: int, after: int, limit: int, narrowing: Narrowing) -> list[Row]:
        """The next unsettled records of one partition with offsets past `after`, in their order."""

    def find(self, log: Log, places: Sequence[Place]) -> dict[Place, Row]:
        """These records, in whatever state."""

    def count(self, log: Log) -> int:
        """Unsettled records."""

    def newest(self, log: Log) -> datetime | None:
        """The latest time of an unsettled record."""

    def families(self, log: Log) -> dict[str, int]:
        """How many unsettled records each family of headers has."""

    def destinations(self, log: Log) -> dict[str, int]:
        """How many unsettled records go where; the empty name: unknown."""

    def groups(self, log: Log, destination: str) -> set[str]:
        """The consumer groups that lost records of this destination, settled ones included."""

    def sent(self, cluster: str, positions: Sequence[str]) -> dict[str, Row]:
        """The records that became these, by TOPIC/PARTITION/OFFSET of what they became."""

    def claim(
        self, log: Log, operation: UUID, actor: str, wanted: Mapping[Place, str], bounds: str
    ) -> dict[Place, Row]:
        """Claim open records whose digest is the one given; all of them as they are now, claimed or not.

        What this operation claimed before keeps its bounds.
        """

    def settle(self, log: Log, operation: UUID, sent: Mapping[Place, str]) -> None:
        """Claimed by this operation → requeued, with what each became."""

    def unclaim(self, log: Log, operation: UUID, places: Sequence[Place]) -> None:
        """Claimed by this operation → open: it is known that they were not sent."""

    def discard(self, log: Log, operation: UUID, actor: str, wanted: Mapping[Place, str]) -> dict[Place, Row]:
        """Discard open records whose digest is the one given; all of them as they are now, discarded or not."""

    def reopen(self, log: Log, places: Sequence[Place]) -> set[Place]:
        """Requeued or discarded → open; which ones it was."""

    def replace(self, log: Log, operation: UUID, place: Place, digest: str, payload: bytes, new: str) -> bool:
        """Keep a payload and the digest `new` for an open record whose digest is `digest`; False where it is not."""

    def claims(self, log: Log, before: datetime, limit: int) -> list[Row]:
        """The oldest records that have been claimed since before then."""

    def drop(self, log: Log, places: Sequence[Place]) -> int:
        """Forget records; how many there were."""

    def forget(self, log: Log, partition: int, offset: int, before: datetime) -> int:
        """Forget settled records of a partition under `offset` that were settled before then; how many."""

    def close(self) -> None:
        """Give up connections; idempotent."""


class LedgerGlance(Protocol):
    """A look at a ledger that loads little and writes nothing. One instance serves one thread."""

    def standing(self, log: Log, most: int) -> Standing | None:
        """What is known of this log, with the causes of at most so many records; None where nothing is."""

    def close(self) -> None:
        """Give up the connection; idempotent."""

"""What a dead-letter topic holds that needs somebody: where the ledger is level with it, that says so."""

from typing import TYPE_CHECKING

from ticketops.backends.kafka.cluster import Cluster, TopicInfo
from ticketops.domain.holdings import Holding
from ticketops.domain.ledger import Log, Standing
from ticketops.options import KafkaOptions

if TYPE_CHECKING:
    from ticketops.ports.ledger import LedgerGlance


class TopicGlance:
    """Implements ports.QueueGlance for a dead-letter topic; reads no records and writes nothing to the ledger."""

    def __init__(self, topic: str, options: KafkaOptions, ledger: "LedgerGlance", *, timeout: float = 10.0) -> None:
        """`timeout`: seconds that brokers are waited for."""
        self._topic = topic
        self._ledger = ledger
        self._cluster = Cluster(options, "ticketops-dead-letters", timeout=timeout)

    def holding(self, most: int) -> Holding | None:
        """See ports.QueueGlance."""
        info = self._cluster.topic(self._topic)
        standing = self._ledger.standing(Log(self._cluster.id, self._topic), most)
        if info is None:
            return Holding() if standing is None or not standing.holding.count else None
        if standing is None or info.incarnation not in {"", standing.incarnation} or not self._level(info, standing):
            return None
        return standing.holding

    def _level(self, info: TopicInfo, standing: Standing) -> bool:
        """The index ends where the topic does."""
        bounds = self._cluster.bounds(self._topic, info.partitions)
        known = standing.positions
        return all(
            known.get(number, 0) <= at.end <= max(at.start, known.get(number, 0)) for number, at in bounds.items()
        )

    def close(self) -> None:
        """See ports.QueueGlance."""
        self._ledger.close()
        self._cluster.close()

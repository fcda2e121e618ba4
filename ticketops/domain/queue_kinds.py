"""The kinds of dead-letter queues; apart from the letters, since every configuration names them."""

from enum import StrEnum


class QueueKind(StrEnum):
    """Where a dead-letter queue is."""

    REDIS = "redis"
    """The booking worker's sorted set."""
    OUTBOX = "outbox"
    """Outbox rows that are FAILED with their attempts used up."""
    KAFKA = "kafka"
    """A dead-letter topic."""
    COMPENSATIONS = "compensations"
    """failed_compensations that are FAILED or MANUAL."""

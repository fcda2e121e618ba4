"""Dead-letter queues by their names in the configuration."""

from typing import TYPE_CHECKING

from ticketops.config.problems import did_you_mean
from ticketops.domain.deadletters import QueueKind
from ticketops.errors import NotFoundError
from ticketops.wiring.dead_tables import open_compensations, open_outbox_dead_letters
from ticketops.wiring.kafka import open_dead_letter_topic
from ticketops.wiring.redis import open_redis_dead_letters

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.options import QueueOptions
    from ticketops.ports.deadletters import DeadLetterQueue


def open_queue(config: "Config", name: str, *, timeout: float | None = None) -> "DeadLetterQueue":
    """The queue of that name, for one thread; `timeout` in seconds bounds connecting and reading, where given.

    NotFoundError where the configuration does not name it; nothing is asked of a backend yet.
    """
    options = queue_options(config, name)
    match options.kind:
        case QueueKind.REDIS:
            return open_redis_dead_letters(config, name, options, timeout=timeout)
        case QueueKind.KAFKA:
            return open_dead_letter_topic(config, name, options.topic, timeout=timeout)
        case QueueKind.OUTBOX:
            return open_outbox_dead_letters(config, name, timeout=timeout)
        case QueueKind.COMPENSATIONS:
            return open_compensations(config, name, options.table, timeout=timeout)


def queue_options(config: "Config", name: str) -> "QueueOptions":
    """What the configuration says of a queue; NotFoundError where it does not name it."""
    queues = config.dlq.queues
    if name not in queues:
        hint = did_you_mean(name, queues) or f"there are {', '.join(queues) or 'none'}"
        raise NotFoundError(f"there is no dead-letter queue {name}", why="[dlq.queues] does not name it", hint=hint)
    return queues[name]

"""Dead-letter queues by their names in the configuration."""

from functools import partial
from typing import TYPE_CHECKING

from ticketops.config.problems import did_you_mean
from ticketops.domain.queue_kinds import QueueKind
from ticketops.errors import NotFoundError
from ticketops.wiring.dead_tables import (
    glance_at_compensations,
    glance_at_outbox,
    open_compensations,
    open_outbox_dead_letters,
)
from ticketops.wiring.kafka import glance_at_topic, open_dead_letter_topic
from ticketops.wiring.redis import glance_at_redis, open_redis_dead_letters

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.options import QueueOptions
    from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance
    from ticketops.services.overview.letter_probe import LetterProbe
    from ticketops.wiring.sessions import Sessions


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


def open_letter_probe(config: "Config", sessions: "Sessions", name: str, timeout: float) -> "LetterProbe":
    """What a snapshot asks of the queue of that name, for one thread; `timeout` in seconds as above."""
    from ticketops.services.overview.letter_probe import LetterProbe  # noqa: PLC0415 - `--help` must not pay for it

    options = queue_options(config, name)
    opened = partial(open_queue, config, name, timeout=timeout)
    return LetterProbe(name, options.kind, opened, open_glance(config, sessions, name, timeout=timeout))


def open_glance(config: "Config", sessions: "Sessions", name: str, *, timeout: float) -> "QueueGlance | None":
    """What tells at little cost what is in the queue of that name, for one thread; None where nothing does."""
    options = queue_options(config, name)
    match options.kind:
        case QueueKind.REDIS:
            return glance_at_redis(config, options, timeout=timeout)
        case QueueKind.KAFKA:
            return glance_at_topic(config, sessions, options.topic, timeout=timeout)
        case QueueKind.OUTBOX:
            return glance_at_outbox(config, sessions, timeout=timeout)
        case QueueKind.COMPENSATIONS:
            return glance_at_compensations(config, sessions, options.table, timeout=timeout)


def queue_options(config: "Config", name: str) -> "QueueOptions":
    """What the configuration says of a queue; NotFoundError where it does not name it."""
    queues = config.dlq.queues
    if name not in queues:
        hint = did_you_mean(name, queues) or f"there are {', '.join(queues) or 'none'}"
        raise NotFoundError(f"there is no dead-letter queue {name}", why="[dlq.queues] does not name it", hint=hint)
    return queues[name]

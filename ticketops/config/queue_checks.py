"""Dead-letter queues that cannot work, each of their values fine by itself."""

import re
from collections.abc import Iterator
from typing import Final

from ticketops.config.problems import Problem
from ticketops.config.schema import Config
from ticketops.domain.queue_kinds import QueueKind
from ticketops.options import OutboxOptions, QueueOptions

TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
"""What Kafka takes as the name of a topic, beside `.` and `..`."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def check(config: Config) -> Iterator[Problem]:
    """Everything that cannot work."""
    for name, queue in config.dlq.queues.items():
        yield from _queue(f"dlq.queues.{name}", queue, config.outbox)
    yield from _shared(config)


def _queue(section: str, queue: QueueOptions, outbox: OutboxOptions) -> Iterator[Problem]:
    match queue.kind:
        case QueueKind.KAFKA:
            yield from _topic(f"{section}.topic", queue.topic, outbox)
        case QueueKind.REDIS if _CONTROL.search(queue.prefix):
            yield Problem(f"{section}.prefix holds a control character", hint="write a prefix such as eu:")


def _topic(key: str, topic: str, outbox: OutboxOptions) -> Iterator[Problem]:
    if not topic:
        yield Problem(f"{key} is empty", why="a kafka queue is a topic", hint="name the dead-letter topic")
    elif not TOPIC.fullmatch(topic) or topic in {".", ".."}:
        why = "Kafka takes up to 249 letters, digits, dots, underscores and hyphens"
        yield Problem(f"{key} is no topic name", why=why)
    elif topic in outbox.topics.values():
        yield Problem(
            f"{key} is {topic}, which the relay publishes to",
            why="a requeue would put its records back into it",
            hint="name the dead-letter topic",
        )


def _shared(config: Config) -> Iterator[Problem]:
    """Two queues on one place would count and change the same items twice."""
    places: dict[object, str] = {}
    for name, queue in config.dlq.queues.items():
        table = queue.table or config.state.compensations_table
        first = places.setdefault((queue.kind, queue.prefix, queue.topic, table), name)
        if first != name:
            why = "each of their items would be counted and changed twice"
            yield Problem(f"dlq.queues.{name} and dlq.queues.{first} are the same place", why=why, hint="keep one")

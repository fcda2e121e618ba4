"""Dead-letter topics."""

from functools import partial
from typing import TYPE_CHECKING

from ticketops.wiring.store import open_ledger, open_ledger_glance

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.ports.deadletters import DeadLetterQueue, QueueGlance
    from ticketops.wiring.sessions import Sessions


def open_dead_letter_topic(
    config: "Config", name: str, topic: str, *, timeout: float | None = None
) -> "DeadLetterQueue":
    """A dead-letter topic as a queue, for one thread; `timeout` in seconds is how long brokers are waited for."""
    from ticketops.backends.kafka.dead_letters import KafkaDeadLetters  # noqa: PLC0415 - loads the driver

    waits = {} if timeout is None else {"timeout": timeout}
    return KafkaDeadLetters(name, topic, config.kafka, partial(open_ledger, config), **waits)


def glance_at_topic(config: "Config", sessions: "Sessions", topic: str, *, timeout: float) -> "QueueGlance | None":
    """What is in a dead-letter topic; None where the ledger is a local file. `timeout` as above."""
    from ticketops.backends.kafka.dead_letters_glance import TopicGlance  # noqa: PLC0415 - loads the driver

    ledger = open_ledger_glance(config, sessions, timeout=timeout)
    return None if ledger is None else TopicGlance(topic, config.kafka, ledger, timeout=min(timeout, 10.0))

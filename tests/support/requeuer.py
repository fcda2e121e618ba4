"""Requeues everything of a dead-letter topic, and kills itself at a step; run as a process of its own.

Arguments: brokers, topic, ledger file, operation, step.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from support.deadletters import order
from ticketops.backends.kafka.dead_letters import KafkaDeadLetters
from ticketops.backends.store.ledger import StoredLedger
from ticketops.backends.store.sqlite import SqlitePlace
from ticketops.domain.deadletters import Narrowing
from ticketops.options import KafkaOptions

STEPS = ("before claim", "after claim", "while sending", "before settle", "after settle")


def _dying(work: Callable[..., Any], *, first: bool) -> Callable[..., Any]:
    def die(*arguments: Any, **options: Any) -> Any:
        if not first:
            work(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    return die


def _arm(queue: KafkaDeadLetters, ledger: StoredLedger, step: str) -> None:
    """Make the step deadly."""
    where, _, name = step.partition(" ")
    if name == "sending":
        target: Any = queue._sender
        target._finish = _half_sent
        return
    setattr(ledger, name, _dying(getattr(ledger, name), first=where == "before"))


def _half_sent(producer: Any) -> None:
    """Some of it is there by now, some may be on its way, some was never handed over."""
    producer.poll(0.02)
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    brokers, topic, file, operation, step = sys.argv[1:]
    ledger = StoredLedger(SqlitePlace(Path(file)))
    queue = KafkaDeadLetters("dead", topic, KafkaOptions(bootstrap_servers=brokers), lambda: ledger)
    marks = [letter.mark for letter in queue.scan(Narrowing(bodies=False))]
    _arm(queue, ledger, step)
    queue.requeue(order(UUID(operation)), marks)


if __name__ == "__main__":
    main()

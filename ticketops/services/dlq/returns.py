"""Which items died again after they were put back."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ticketops.domain.deadletters import DeadLetter, Narrowing, Outcome
from ticketops.domain.operations import Operation
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.ports.operations import OperationStore

_SKEW = timedelta(seconds=5)
"""Clocks of those who write dead letters and of the queue's backend may differ by so much; many keep whole seconds."""


@dataclass(frozen=True, slots=True)
class Newcomers:
    """What died since an operation began."""

    new: int = 0
    """Items of any origin."""
    returned: int = 0
    """Those among them that the operation had put back."""


def died_since(queue: DeadLetterQueue, moment: datetime) -> Iterator[DeadLetter]:
    """Items that may have died since `moment`, some that died shortly before it among them."""
    newest = queue.newest_failure()
    if newest is None or newest < moment - _SKEW:
        return
    for letter in queue.scan(Narrowing(since=moment - _SKEW, bodies=False)):
        if letter.failed_at is None or letter.failed_at >= moment - _SKEW:
            yield letter


def came_back(queue: DeadLetterQueue, moment: datetime, origins: Collection[str]) -> list[str]:
    """The ids of items of these origins that are in the queue again."""
    return [letter.id for letter in died_since(queue, moment) if letter.origin in origins]


def newcomers(operation: Operation, queues: Mapping[str, DeadLetterQueue], store: OperationStore) -> Newcomers:
    """What died since the operation's cut-off, and how much of it the operation had put back."""
    origins, new = set[tuple[str, str]](), 0
    for name in operation.queues:
        for letter in died_since(queues[name], operation.cutoff) if name in queues else ():
            origins.add((name, letter.origin))
            new += letter.failed_at is not None and letter.failed_at >= operation.cutoff
    if not origins:
        return Newcomers()
    returned = sum(
        one.outcome is Outcome.DONE and (one.item.queue, one.item.origin) in origins
        for one in store.items(operation.id)
    )
    return Newcomers(max(new, returned), returned)

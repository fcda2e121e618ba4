"""Ids that were named and are in no queue: what was done to them."""

from collections.abc import Sequence
from typing import Final

from ticketops.domain.deadletters import Outcome
from ticketops.domain.operations import AuditEntry, item_target
from ticketops.ports.operations import OperationStore
from ticketops.services.dlq.past import PUT_BACK, TAKEN_OUT

_ASKED: Final = 100
"""Ids whose history is looked at; more would be a search of its own."""
_SAID: Final = {
    "dlq requeue": "requeued",
    "dlq discard": "discarded",
    "dlq purge": "purged",
    "dlq cleanup": "cleaned up",
    "dlq restore": "restored",
    "dlq import": "imported",
}


def last_moves(store: OperationStore, queues: Sequence[str], ids: Sequence[str]) -> dict[str, AuditEntry]:
    """The last time that each of these was taken out or put back, where that is known; the first 100 are looked up."""
    found = {id_: [entry for name in queues for entry in _moves(store, name, id_)] for id_ in ids[:_ASKED]}
    return {id_: max(moves, key=lambda entry: entry.at) for id_, moves in found.items() if moves}


def move_words(entry: AuditEntry) -> str:
    """What was done, by whom and when, for people."""
    done = _SAID.get(entry.action, entry.action)
    return f"{done} by {entry.actor} at {entry.at:%Y-%m-%dT%H:%M:%SZ}, operation {entry.operation}"


def _moves(store: OperationStore, queue: str, id_: str) -> list[AuditEntry]:
    return [
        entry
        for entry in store.history(queue, id_, id_)
        if entry.action in TAKEN_OUT | PUT_BACK
        and entry.result == Outcome.DONE
        and entry.target == item_target(queue, id_)
    ]

"""Operations and their items, as rows and as values."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, Text, type_coerce

from ticketops.backends.store.columns import plain
from ticketops.domain.deadletters import Outcome
from ticketops.domain.operations import FrozenItem, Operation, OperationItem, OperationState, Verb, key_of

_FULL_HEX = 32


def operation_values(operation: Operation) -> dict[str, Any]:
    """The columns of an operation that nobody runs yet."""
    return {
        "id": operation.id,
        "verb": operation.verb.value,
        "queues": list(operation.queues),
        "actor": operation.actor,
        "reason": operation.reason,
        "selector": dict(operation.selector),
        "cutoff": operation.cutoff,
        "settings": dict(operation.settings),
        "context": operation.context,
        "created_at": operation.created_at,
        "ended_at": operation.ended_at,
        "state": operation.state.value,
        "note": operation.note,
        "counts": {},
    }


def to_operation(row: Row[Any]) -> Operation:
    """An operation of a row with all its columns."""
    return Operation(
        id=row.id,
        verb=Verb(row.verb),
        queues=tuple(row.queues),
        actor=row.actor,
        reason=row.reason,
        selector=row.selector,
        cutoff=row.cutoff,
        settings=row.settings,
        context=row.context,
        created_at=row.created_at,
        ended_at=row.ended_at,
        state=OperationState(row.state),
        total=row.total,
        counts=to_counts(row.counts),
        note=row.note,
        runner=row.runner,
        runner_until=row.runner_until,
    )


def to_counts(counts: Mapping[str, int]) -> dict[Outcome, int]:
    """Counts in the order of the outcomes."""
    return {outcome: counts[outcome.value] for outcome in Outcome if outcome.value in counts}


def item_values(seq: int, number: int, item: FrozenItem) -> tuple[Any, ...]:
    """The columns of operation_items, in their order."""
    origin = None if item.origin == item.id else item.origin
    origin_key = None if origin is None else key_of(item.queue, origin)
    item_key = key_of(item.queue, item.id)
    return (seq, number, item.queue, item.id, item.digest, origin, item.key, item_key, origin_key)


def item_columns(items: Table) -> list[ColumnElement[Any]]:
    """What `to_item` takes; the texts as they are stored, since the type of a column costs two calls for each."""
    c = items.c
    return [c.operation, c.number, *(type_coerce(text, Text) for text in (c.queue, c.item, c.digest, c.origin, c.key))]


def to_item(row: Sequence[Any], result: Row[Any] | None) -> OperationItem:
    """An item of a row of `item_columns`, with its result of a row of operation_results."""
    _, number, queue, id_, digest, origin, key = row
    id_ = plain(id_)
    origin = id_ if origin is None else plain(origin)
    item = FrozenItem(queue=plain(queue), id=id_, digest=plain(digest), origin=origin, key=plain(key))
    if result is None:
        return OperationItem(number=number, item=item)
    outcome = Outcome(result.outcome)
    return OperationItem(number=number, item=item, outcome=outcome, detail=result.detail, at=result.at)


def ids_between(prefix: str) -> tuple[UUID, UUID] | None:
    """The first and the last id that begin so, hyphens apart; None where no id can."""
    digits = prefix.strip().lower().replace("-", "")
    if not digits or len(digits) > _FULL_HEX or not set(digits) <= set("0123456789abcdef"):
        return None
    return UUID(hex=digits.ljust(_FULL_HEX, "0")), UUID(hex=digits.ljust(_FULL_HEX, "f"))

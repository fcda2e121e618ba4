"""What an operation does to its items, made from what the store knows of it."""

from typing import Any, cast

from ticketops.domain.deadletters import RequeueOrder
from ticketops.domain.editing import PayloadEdit
from ticketops.domain.operations import Operation, Verb
from ticketops.errors import UsageError
from ticketops.services.dlq.changing import Desk
from ticketops.services.dlq.clerk import Clerk
from ticketops.services.dlq.edit_verb import EditItems
from ticketops.services.dlq.past import Past
from ticketops.services.dlq.returning import Import, Pick, PurgeArchive, Restore
from ticketops.services.dlq.runner import Handler
from ticketops.services.dlq.verbs import Discard, HoldItems, ReleaseItems, Remove, Requeue


def handler_of(desk: Desk, operation: Operation, clerk: Clerk, pick: Pick | None) -> Handler:  # noqa: PLR0911 - one per verb
    """The handler of an operation's verb."""
    settings, annotations = operation.settings, desk.annotations
    past = Past(lambda queue, id_, origin: clerk.ask(lambda store: store.history(queue, id_, origin)), operation.id)
    match operation.verb:
        case Verb.REQUEUE:
            from_source = bool(settings.get("from_source"))
            return Requeue(RequeueOrder(operation=operation.id, actor=operation.actor, from_source=from_source))
        case Verb.CLEANUP | Verb.DISCARD if not settings.get("drop"):
            return Discard(operation, annotations, past)
        case Verb.PURGE if settings.get("archive"):
            return PurgeArchive(annotations, desk.store.now())
        case Verb.CLEANUP | Verb.PURGE:
            return Remove(operation, past)
        case Verb.RESTORE:
            return Restore(operation, annotations, past)
        case Verb.HOLD:
            return HoldItems(operation, annotations, operation.created_at)
        case Verb.RELEASE:
            return ReleaseItems(annotations)
        case Verb.EDIT:
            edit = PayloadEdit.of(cast("dict[str, Any]", settings.get("edit", {})))
            return EditItems(operation, annotations, edit, operation.created_at)
        case Verb.IMPORT if pick is not None:
            return Import(operation, pick, past)
        case _:
            raise UsageError(f"operation {operation.id} cannot be run", why=f"it is a {operation.verb}")

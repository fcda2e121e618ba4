"""What an operation does to its items, made from what the store knows of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from ticketops.domain.admission import Admission
from ticketops.domain.deadletters import Outcome, RequeueOrder, Result
from ticketops.domain.editing import PayloadEdit
from ticketops.domain.operations import Operation, OperationItem, Verb
from ticketops.errors import UsageError
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.changing import Desk, Example
from ticketops.services.dlq.clerk import Clerk
from ticketops.services.dlq.edit_verb import EditItems
from ticketops.services.dlq.past import Past
from ticketops.services.dlq.returning import Import, Pick, PurgeArchive, Restore
from ticketops.services.dlq.runner import Handler
from ticketops.services.dlq.verbs import Discard, HoldItems, ReleaseItems, Remove, Requeue, Respectful

_EXAMPLES: Final = 20


@dataclass(frozen=True, slots=True)
class Noting:
    """Keeps the first results that are not what was asked for."""

    inner: Handler
    examples: list[Example]

    def apply(self, queue: DeadLetterQueue, items: Sequence[OperationItem], *, again: bool) -> list[Result]:
        """See Handler."""
        results = self.inner.apply(queue, items, again=again)
        if len(self.examples) < _EXAMPLES:
            self._note(items, results)
        return results

    def _note(self, items: Sequence[OperationItem], results: Sequence[Result]) -> None:
        other = [
            (one.item, result.outcome, result.detail)
            for one, result in zip(items, results, strict=True)
            if result.outcome is not Outcome.DONE
        ]
        self.examples.extend(other[: _EXAMPLES - len(self.examples)])


def handler_of(desk: Desk, operation: Operation, clerk: Clerk, pick: Pick | None) -> Handler:
    """The handler of an operation's verb; holds that came after the plan are respected as those before it."""
    admission = Admission(verb=operation.verb, past_holds=bool(operation.settings.get("past_holds")))
    handler = _plain(desk, operation, clerk, pick)
    return Respectful(handler, desk.annotations, admission) if admission.respects_holds() else handler


def _plain(desk: Desk, operation: Operation, clerk: Clerk, pick: Pick | None) -> Handler:  # noqa: PLR0911 - one per verb
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

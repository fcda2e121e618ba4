"""Cancel and resume of operations, as the dashboard proposes them."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

from ticketops.domain.operations import ENDED, Operation
from ticketops.errors import RefusedError
from ticketops.services.dlq.importing import pick_of
from ticketops.services.dlq.running import Run
from ticketops.services.guard import require_writable
from ticketops.tui.letter_changes import Means, told, watched
from ticketops.tui.looks import command_of, number
from ticketops.tui.proposals import Proposal, Watch


class OperationChanges:
    """Plans of what is done to one operation."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def cancel(self, id_: str) -> Proposal:
        """Stop it after the items in hand. RefusedError where it has ended."""
        operation = self._found(id_, "cancel")
        return Proposal(
            title=f"cancel {operation.verb} of {', '.join(operation.queues)}",
            lines=(*_described(operation), "items in hand are finished; what is left stays as it is, for good"),
            command=self._command("cancel", operation),
            count=operation.left,
            make=lambda watch: self._cancel(operation, watch),
        )

    def _cancel(self, operation: Operation, watch: Watch) -> str:
        with self._means.desk() as desk:
            require_writable(desk.access, "ops cancel")
            ended = desk.store.cancel(operation.id, desk.actor, watch.reason)
        if ended.runner:
            return f"{ended.runner} was told, and stops after the items in hand"
        return f"{ended.state}, {number(ended.left)} left as they are"

    def resume(self, id_: str) -> Proposal:
        """Go on with it as it was told. RefusedError where it has ended."""
        operation = self._found(id_, "resume")
        over = list[bool]()
        command = self._command("resume", operation)
        return Proposal(
            title=f"resume {operation.verb} of {', '.join(operation.queues)}",
            lines=(*_described(operation), "goes on as it was told; nothing is done twice"),
            command=command,
            count=operation.left,
            make=lambda watch: self._resume(operation, watch, over),
            go_on=lambda: "" if over else command,
        )

    def _resume(self, operation: Operation, watch: Watch, over: list[bool]) -> str:
        with self._means.desk() as desk, ExitStack() as stack:
            queues = {name: stack.enter_context(closing(self._means.change(name))) for name in operation.queues}
            report = Run(desk, operation, queues, watched(watch), pick=pick_of(operation)).resume()
            over += [True] if not report.operation.left else []
            return told(report)

    def _found(self, id_: str, verb: str) -> Operation:
        with self._means.desk() as desk:
            require_writable(desk.access, f"ops {verb}")
            operation = desk.store.find(id_)
        if operation.state in ENDED:
            raise RefusedError(f"operation {operation.id} is {operation.state}", why=operation.note)
        return operation

    def _command(self, verb: str, operation: Operation) -> str:
        return command_of("ticketops", "ops", verb, str(operation.id), *self._means.tail)


def _described(operation: Operation) -> Iterator[str]:
    yield f"{operation.verb} of {', '.join(operation.queues)}, begun by {operation.actor}: {operation.reason or '-'}"
    yield f"{number(operation.total)} items, {number(operation.left)} left; it is {operation.state}"
    if operation.note:
        yield operation.note
    if operation.runner:
        yield f"{operation.runner} works on it"
    if operation.settings:
        yield ", ".join(f"{name} {value}" for name, value in operation.settings.items() if name != "edit")

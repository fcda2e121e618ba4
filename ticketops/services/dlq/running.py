"""Runs of an operation that is stored: the first, and those that resume it."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from types import MappingProxyType
from typing import Final

from ticketops.domain.admission import Admission
from ticketops.domain.deadletters import Outcome
from ticketops.domain.operations import Operation, OperationState, Verb
from ticketops.errors import NotFoundError, RefusedError, TicketOpsError
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.changing import Desk, Report
from ticketops.services.dlq.clerk import Clerk
from ticketops.services.dlq.handlers import handler_of
from ticketops.services.dlq.holding import Holds
from ticketops.services.dlq.returning import Pick
from ticketops.services.dlq.returns import Newcomers, newcomers
from ticketops.services.dlq.runner import Example, Progress, Runner, Surroundings, past_canary
from ticketops.services.guard import require_writable

LEASE: Final = 10.0
"""Seconds after which a runner that says nothing counts as dead."""
_POLL: Final = 0.5
_RUNS: Final = count(1)


class Run:
    """One run of an operation that is stored."""

    def __init__(
        self,
        desk: Desk,
        operation: Operation,
        queues: Mapping[str, DeadLetterQueue],
        around: Surroundings,
        *,
        pick: Pick | None = None,
    ) -> None:
        """`pick`: what the file of an import has."""
        self._desk = desk
        self._operation = operation
        self._queues = queues
        self._around = around
        self._pick = pick
        self._runner = f"{desk.actor}:{os.getpid()}:{next(_RUNS)}"

    def first(self) -> Report:
        """Work from the first item. Errors of backends pass, after the operation is put down as far as it got."""
        self._check()
        if not self._desk.store.claim(self._operation.id, self._runner, LEASE):
            raise self._taken(self._desk.store.find(str(self._operation.id)))
        return self._run(again=False)

    def resume(self, changed: Mapping[str, object] = MappingProxyType({})) -> Report:
        """Go on where it was cut off or put down; `changed` are settings of its pace that this run has otherwise.

        Waits for the end of a dead runner's lease; RefusedError where the runner lives, or the operation has ended.
        """
        self._check()
        watched = {"canary": 0} if past_canary(self._desk.store.find(str(self._operation.id))) else {}
        self._claim()
        self._operation = replace(self._operation, settings={**self._operation.settings, **watched, **changed})
        return self._run(again=True)

    def _check(self) -> None:
        require_writable(self._desk.access, f"dlq {self._operation.verb}")
        if missing := [name for name in self._operation.queues if name not in self._queues]:
            raise NotFoundError(
                f"operation {self._operation.id} needs the queue {missing[0]}", why="it is not among those opened"
            )

    def _claim(self) -> None:
        store, id_ = self._desk.store, self._operation.id
        found = store.find(str(id_))
        if found.runner and self._is_gone(found.runner):
            with suppress(RefusedError):  # somebody else was quicker
                store.end(id_, found.runner, OperationState.STOPPED, f"{found.runner} is gone")
        seen = found.runner_until
        while not store.claim(id_, self._runner, LEASE):
            now = store.find(str(id_))
            if now.runner_until != seen:
                raise self._taken(now)
            self._around.observe(
                Progress(total=now.total, counts=now.counts, note=f"waiting whether {now.runner} is dead")
            )
            if self._around.stop.wait(_POLL):
                raise RefusedError("not resumed", why="interrupted while waiting for the lease of another runner")
        self._operation = store.find(str(id_))

    def _is_gone(self, runner: str) -> bool:
        """True for a process of this machine that is there no more: nobody has to wait for its lease."""
        actor, _, process = runner.partition(":")
        pid = process.partition(":")[0]
        if actor.rpartition("@")[2] != self._desk.actor.rpartition("@")[2] or not pid.isdigit():
            return False
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except (PermissionError, OverflowError):
            return False
        return False

    def _taken(self, operation: Operation) -> RefusedError:
        return RefusedError(
            f"operation {operation.id} is being worked on",
            why=f"by {operation.runner}",
            hint=f"`ticketops ops cancel {operation.id}` stops it",
        )

    def _run(self, *, again: bool) -> Report:
        with self._desk.executor() as executor:
            clerk = Clerk(
                self._desk.store,
                self._operation.id,
                self._runner,
                executor=executor,
                ttl=LEASE,
                clock=self._around.clock,
            )
            run = Runner(
                self._operation,
                self._queues,
                handler_of(self._desk, self._operation, clerk, self._pick),
                clerk,
                again=again,
                around=self._around,
                holds=self._holds(),
            )
            try:
                note = run.run()
            except TicketOpsError as error:
                self._put_down(clerk, error)
                raise
        return self._report(self._end(note, cancelled=clerk.cancelled), run.examples)

    def _holds(self) -> Holds:
        """What came to be held since the plan is left as what was held before."""
        past = bool(self._operation.settings.get("past_holds"))
        admission = Admission(verb=self._operation.verb, past_holds=past)
        return Holds(self._desk.annotations, admission, self._around.clock)

    def _put_down(self, clerk: Clerk, error: TicketOpsError) -> None:
        """Write down how far it got, where the store can still be reached; a resume finds out about the rest."""
        error.hint = f"what is left: ticketops ops resume {self._operation.id}"
        with suppress(TicketOpsError):
            clerk.flush()
            self._desk.store.end(self._operation.id, self._runner, OperationState.STOPPED, str(error))

    def _end(self, note: str | None, *, cancelled: bool) -> Operation:
        if note is None:
            state = OperationState.DONE
        else:
            state = OperationState.CANCELLED if cancelled else OperationState.STOPPED
        said = "" if state is OperationState.CANCELLED else note or ""
        return self._desk.store.end(self._operation.id, self._runner, state, said)

    def _report(self, operation: Operation, examples: Sequence[Example]) -> Report:
        new = Newcomers()
        if operation.verb is Verb.REQUEUE and operation.counts.get(Outcome.DONE):
            new = newcomers(operation, self._queues, self._desk.store)
        return Report(operation=operation, newcomers=new, examples=tuple(examples))

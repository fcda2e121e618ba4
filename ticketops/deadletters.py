"""Dead letters from Python: find, requeue, discard, with the same plans, operations and guards as the command line.

```python
from ticketops.deadletters import DeadLetters, DeadLetterSelector, Pace

with DeadLetters.load(context="prod") as dead:
    timeouts = DeadLetterSelector(reason="timeout")
    for letter in dead.find(timeouts, queues=["bookings"]):
        print(letter.id, letter.key, letter.error_message)
    report = dead.requeue(timeouts, queues=["bookings"], why="the provider is back", pace=Pace(rate=50))
    print(report.done, dict(report.skipped), report.operation.id)
```
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ticketops import wiring
from ticketops.config import Config, load
from ticketops.config.schema import keys
from ticketops.domain.admission import Admission
from ticketops.domain.dead_letter_selector import DeadLetterSelector
from ticketops.domain.dead_letter_stats import QueueTally
from ticketops.domain.deadletters import DeadLetter, Outcome
from ticketops.domain.editing import PayloadEdit
from ticketops.domain.operations import AuditEntry, Operation, OperationItem, OperationState, Verb
from ticketops.domain.pacing import Pace
from ticketops.errors import NotFoundError
from ticketops.ports.deadletters import DeadLetterQueue
from ticketops.services.dlq.changing import Desk, Report, begin
from ticketops.services.dlq.choosing import Choice, choose, choose_archived, require_selector
from ticketops.services.dlq.finding import Search
from ticketops.services.dlq.importing import LetterFile
from ticketops.services.dlq.planning import Plan
from ticketops.services.dlq.runner import Progress, Surroundings
from ticketops.services.dlq.running import Run
from ticketops.services.guard import require_writable
from ticketops.wiring.deadletters import open_queue
from ticketops.wiring.store import open_desk

__all__ = [
    "DeadLetter",
    "DeadLetterSelector",
    "DeadLetters",
    "Operation",
    "OperationItem",
    "OperationState",
    "Outcome",
    "Pace",
    "PayloadEdit",
    "Plan",
    "Progress",
    "Report",
    "Verb",
]

Observe = Callable[[Progress], None]


class DeadLetters:
    """Every queue of a configuration, and what is remembered of changes to them; for one thread.

    Backends are opened when they are needed, and closed when the `with` block ends. A change without a condition in
    its selector is refused unless the selector says `everything=True`. Nobody is asked: look at `plan` first.
    """

    def __init__(self, config: Config, *, actor: str | None = None) -> None:
        """`actor`: who makes the changes, for the audit log; user@host where not given."""
        self._config = config
        self._actor = actor or wiring.actor()
        self._stack = ExitStack()
        self._made: Desk | None = None

    @classmethod
    def load(
        cls,
        *,
        file: Path | str | None = None,
        context: str | None = None,
        settings: Mapping[str, object] | None = None,
        actor: str | None = None,
    ) -> Self:
        """With the configuration as the command line finds it; `settings` go before it, such as {"redis.url": …}.

        Raises ConfigError.
        """
        known, environ, assignments = keys(), dict(os.environ), list[str]()
        for name, value in (settings or {}).items():
            if name in known and known[name].secret:
                environ[known[name].variable] = str(value)
            else:
                assignments.append(f"{name}={value}")
        path = None if file is None else Path(file)
        return cls(load(file=path, context=context, assignments=assignments, environ=environ).config, actor=actor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up connections; idempotent."""
        self._made = None
        self._stack.close()

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues of the configuration, by name."""
        return tuple(self._config.dlq.queues)

    def stats(self, queue: str) -> QueueTally:
        """Everything counted of one queue: reasons, groups of one cause, ages, arrivals. Reads every item."""
        tally = QueueTally(now=datetime.now(UTC))
        with closing(self._open(queue)) as opened:
            for letter in opened.scan(DeadLetterSelector(everything=True).narrowing()):
                tally.add(letter)
        return tally

    def depth(self, queue: str) -> int:
        """How many dead letters there are."""
        with closing(self._open(queue)) as opened:
            return opened.count()

    def find(
        self, selector: DeadLetterSelector, *, queues: Sequence[str] | None = None, bodies: bool = True
    ) -> Iterator[DeadLetter]:
        """What the selector means, streamed, in each queue the oldest first; an error of a backend is raised."""
        search = Search(self._open, self._named(queues), selector)
        yield from search.letters(bodies=bodies)
        for error in search.trouble.queues.values():
            raise error

    def plan(
        self, verb: Verb, selector: DeadLetterSelector, *, queues: Sequence[str] | None = None, force: bool = False
    ) -> Plan:
        """What a change would meet; use it in a `with` block. RefusedError without a selector.

        Of a restore and a purge: in the archive, as `restore` and `purge` do.
        """
        if verb in {Verb.RESTORE, Verb.PURGE}:
            return self._choose_archived(verb, selector, queues).plan
        return self._choose(verb, selector, queues, force=force).plan

    def requeue(  # noqa: PLR0913 - all by keyword
        self,
        selector: DeadLetterSelector,
        *,
        queues: Sequence[str] | None = None,
        why: str = "",
        pace: Pace | None = None,
        force: bool = False,
        from_source: bool = False,
        observe: Observe = lambda _: None,
        stop: threading.Event | None = None,
    ) -> Report:
        """Put dead letters back where they came from; `force` goes past the cap of requeues.

        `stop`, once set, ends the run after the batch in hand. Errors of backends are raised after the operation was
        put down; their hint says how to resume it.
        """
        settings = (pace or Pace()).words() | ({"from_source": True} if from_source else {})
        choice = self._choose(Verb.REQUEUE, selector, queues, force=force)
        return self._apply(choice, why, settings, observe, stop)

    def discard(
        self,
        selector: DeadLetterSelector,
        *,
        queues: Sequence[str] | None = None,
        why: str = "",
        observe: Observe = lambda _: None,
        stop: threading.Event | None = None,
    ) -> Report:
        """Move dead letters into the archive; `restore` undoes it until retention ends."""
        return self._apply(self._choose(Verb.DISCARD, selector, queues), why, {}, observe, stop)

    def restore(self, selector: DeadLetterSelector, *, queues: Sequence[str] | None = None, why: str = "") -> Report:
        """Bring discarded dead letters back into their queues."""
        return self._apply(self._choose_archived(Verb.RESTORE, selector, queues), why, {})

    def purge(self, selector: DeadLetterSelector, *, queues: Sequence[str] | None = None, why: str = "") -> Report:
        """Delete discarded dead letters for good."""
        settings = {"archive": True, "past_holds": True}
        return self._apply(self._choose_archived(Verb.PURGE, selector, queues), why, settings)

    def hold(self, selector: DeadLetterSelector, *, queues: Sequence[str] | None = None, note: str = "") -> Report:
        """Say that somebody looks at dead letters: changes skip them."""
        return self._apply(self._choose(Verb.HOLD, selector, queues), note, {})

    def release(self, selector: DeadLetterSelector, *, queues: Sequence[str] | None = None, why: str = "") -> Report:
        """End holds."""
        return self._apply(self._choose(Verb.RELEASE, selector, queues), why, {})

    def edit(
        self, selector: DeadLetterSelector, edit: PayloadEdit, *, queues: Sequence[str] | None = None, why: str = ""
    ) -> Report:
        """Give dead letters another payload; what their consumer would refuse is left, and the old one is kept."""
        return self._apply(self._choose(Verb.EDIT, selector, queues), why, {"edit": edit.words()})

    def operation(self, id_: str) -> Operation:
        """An operation by its id or the beginning of it. NotFoundError."""
        return self._desk.store.find(id_)

    def items(self, operation: Operation) -> Iterator[OperationItem]:
        """Every item of an operation with its result, streamed."""
        return self._desk.store.items(operation.id)

    def history(self, letter: DeadLetter) -> list[AuditEntry]:
        """All that was done to an item, and to its other deaths."""
        return self._desk.store.history(letter.queue, letter.id, letter.origin)

    def resume(self, operation: Operation, *, observe: Observe = lambda _: None) -> Report:
        """Go on with an operation that was cut off or stopped; nothing is done twice. RefusedError where it ended."""
        pick = LetterFile.of(operation).pick() if operation.verb is Verb.IMPORT else None
        with ExitStack() as stack:
            queues = self._opened(stack, operation)
            return Run(self._desk, operation, queues, Surroundings(observe=observe), pick=pick).resume()

    def cancel(self, operation: Operation, *, why: str = "") -> Operation:
        """Ask for an operation's end after the items in hand. RefusedError where it has ended."""
        require_writable(self._desk.access, "ops cancel")
        return self._desk.store.cancel(operation.id, self._actor, why)

    @property
    def _desk(self) -> Desk:
        if self._made is None:
            self._made = self._stack.enter_context(open_desk(self._config, self._actor))
        return self._made

    def _open(self, name: str) -> DeadLetterQueue:
        return open_queue(self._config, name)

    def _opened(self, stack: ExitStack, operation: Operation) -> Mapping[str, DeadLetterQueue]:
        return {name: stack.enter_context(closing(self._open(name))) for name in operation.queues}

    def _named(self, queues: Sequence[str] | None) -> Sequence[str]:
        return self.queues if queues is None else queues

    def _choose(
        self, verb: Verb, selector: DeadLetterSelector, queues: Sequence[str] | None, *, force: bool = False
    ) -> Choice:
        require_selector(verb, selector)
        admission = Admission(verb=verb, cap=self._config.dlq.requeue_cap, force=force)
        choice = choose(
            admission,
            selector,
            opener=self._open,
            queues=self._named(queues),
            annotations=self._desk.annotations,
            now=datetime.now(UTC),
        )
        return self._sound(choice)

    def _choose_archived(self, verb: Verb, selector: DeadLetterSelector, queues: Sequence[str] | None) -> Choice:
        require_selector(verb, selector)
        choice = choose_archived(
            Admission(verb=verb, past_holds=True),
            selector,
            queues=self._named(queues),
            annotations=self._desk.annotations,
            now=self._desk.store.now(),
        )
        return self._sound(choice)

    def _sound(self, choice: Choice) -> Choice:
        """The choice, where every queue answered and every named id is there."""
        for error in choice.trouble.queues.values():
            choice.plan.items.close()
            raise error
        if choice.missing:
            choice.plan.items.close()
            raise NotFoundError(f"there is no dead letter {choice.missing[0]}")
        return choice

    def _apply(
        self,
        choice: Choice,
        why: str,
        settings: Mapping[str, object],
        observe: Observe = lambda _: None,
        stop: threading.Event | None = None,
    ) -> Report:
        with choice.plan as plan:
            operation = begin(self._desk, plan, reason=why, settings=settings, context=self._config.context)
        around = Surroundings(observe=observe, stop=stop or threading.Event())
        with ExitStack() as stack:
            return Run(self._desk, operation, self._opened(stack, operation), around).first()

"""Moves of subjects, as the dashboard proposes them."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace

from ticketops.domain.subjects import Subject
from ticketops.errors import UsageError
from ticketops.services.guard import Access, require_writable
from ticketops.services.transitions.desk import Plan, StateDesk, event_of
from ticketops.services.transitions.expiry import BATCH, MOST, Author, Expiry, plan_lines
from ticketops.tui.looks import command_of, going_on, number, piped_command_of
from ticketops.tui.proposals import Proposal, Question, Step, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class StateMeans:
    """What moves are made with; everything is opened anew, in a thread."""

    desk: Callable[[str], StateDesk]
    """By the machine's name."""
    expiry: Callable[[str, Author], Expiry]
    """By the machine's name."""
    access: Access
    actor: str
    """user@host."""
    tail: tuple[str, ...] = ()
    """What commands need at their end to mean the same context."""


class StateChanges:
    """Plans of moves."""

    def __init__(self, means: StateMeans) -> None:
        self._means = means

    def ask(self, machine: str, key: str) -> Question:
        """Which event is to be fired. DeniedError in a read-only context."""
        require_writable(self._means.access, "state fire")
        with closing(self._means.desk(machine)) as desk:
            shown = desk.show(key)
        subject = shown.subject

        def then(text: str) -> Step:
            if not text:
                raise UsageError("it is not said which event")
            return lambda: self._fire(machine, subject.key, text)

        called = f" ({subject.reference})" if subject.reference else ""
        takes = ", ".join(shown.allowed) or "no event"
        return Question(
            title=f"fire which event at {machine} {subject.key}{called}?",
            lines=(f"it is {subject.state}, and takes {takes}",),
            then=then,
        )

    def _fire(self, machine: str, key: str, event: str) -> Proposal:
        with closing(self._means.desk(machine)) as desk:
            plan = desk.plan(key, event_of(desk.machine, event), "")
        return Proposal(
            title=f"fire {plan.event} at {machine} {key}",
            lines=plan.lines,
            command=command_of("ticketops", "state", "fire", key, plan.event, "--machine", machine, *self._means.tail),
            count=1,
            make=lambda watch: self._fired(machine, plan, watch),
        )

    def _fired(self, machine: str, plan: Plan, watch: Watch) -> str:
        with closing(self._means.desk(machine)) as desk:
            move = desk.fire(replace(plan, reason=watch.reason)).moves[-1]
        return f"{plan.subject.key}: {move.source} to {move.target}"

    def expire(self, machine: str, *, keys: tuple[str, ...] = (), states: tuple[str, ...] = ()) -> Proposal:
        """Move what is past its time: these subjects, or those in these states. DeniedError in a read-only context."""
        require_writable(self._means.access, "state expire")
        author = Author(name=self._means.actor, audited=True, access=self._means.access)
        with closing(self._means.expiry(machine, author)) as expiry:
            found = [one for one in expiry.overdue(states=states, limit=MOST) if not keys or one.key in keys]
            lines = plan_lines(expiry.machine, found) if found else ("nothing of it is past its time",)
        flags = [word for state in states for word in ("--state", state)]
        rest = ("--machine", machine, *flags, *self._means.tail)
        verb, over = ("ticketops", "state", "expire"), list[bool]()
        return Proposal(
            title=f"expire {number(len(found))} {machine}s",
            lines=lines,
            command=piped_command_of(keys, verb, rest),
            count=len(found),
            make=lambda watch: self._expired(machine, author, found, watch, over),
            go_on=lambda: "" if over else going_on(keys, verb, rest),
        )

    def _expired(self, machine: str, author: Author, found: list[Subject], watch: Watch, over: list[bool]) -> str:
        author = replace(author, reason=watch.reason or author.reason)
        moved = done = 0
        with closing(self._means.expiry(machine, author)) as expiry:
            for start in range(0, len(found), BATCH):
                if watch.stop.is_set():
                    break
                batch = found[start : start + BATCH]
                moved += len(expiry.run_once(batch).moved)
                done += len(batch)
                watch.said = f"{number(done)}/{number(len(found))}"
        over += [True] if done == len(found) else []
        left = f", {number(len(found) - moved)} were locked or had moved" if moved < len(found) else ""
        return f"{number(moved)} of {number(len(found))} moved{left}"

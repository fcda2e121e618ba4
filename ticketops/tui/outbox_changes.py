"""Changes to the outbox and its relays, as the dashboard proposes them."""

import shlex
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final

from ticketops.domain.changes import Action, ChangeResult
from ticketops.domain.relay import PauseScope
from ticketops.domain.selectors import Selector
from ticketops.errors import InterruptedByUser, RefusedError, UsageError
from ticketops.options import OutboxOptions
from ticketops.ports.outbox import OutboxAdmin
from ticketops.ports.relay import ShardLeases
from ticketops.services.guard import Access, require_writable
from ticketops.services.outbox_admin import OutboxDesk, Plan, Who
from ticketops.services.relay.pauses import Part, Pauses
from ticketops.tui.looks import command_of, going_on, number, piped_command_of
from ticketops.tui.proposals import Proposal, Question, Step, Watch

_SCOPES: Final = {
    "--topic": PauseScope.TOPIC,
    "--aggregate-type": PauseScope.AGGREGATE_TYPE,
    "--shard": PauseScope.SHARD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMeans:
    """What changes to the outbox are made with; everything is opened anew, in a thread."""

    admin: Callable[[], OutboxAdmin]
    leases: Callable[[], ShardLeases]
    access: Access
    options: OutboxOptions
    shards: int
    actor: str
    """user@host."""
    tail: tuple[str, ...] = ()
    """What commands need at their end to mean the same context."""


class OutboxChanges:
    """Plans of changes to outbox events."""

    def __init__(self, means: OutboxMeans) -> None:
        self._means = means

    def propose(self, action: Action, selector: Selector) -> Proposal:
        """The dry run, with its ids frozen. DeniedError in a read-only context."""
        means = self._means
        with closing(means.admin()) as admin:
            desk = OutboxDesk(admin, means.access, means.options)
            desk.require_writable(action)
            plan = desk.plan(action, selector)
        verb = ("ticketops", "outbox", action.value)
        rest = (*_flags(selector), *means.tail)
        ids, over = [*map(str, selector.ids)], list[bool]()
        return Proposal(
            title=f"{action} {number(len(plan.ids))} outbox events",
            lines=plan.lines,
            command=piped_command_of(ids, verb, rest),
            count=len(plan.ids),
            make=lambda watch: self._make(plan, watch, over),
            go_on=lambda: "" if over else going_on(ids, verb, rest),
        )

    def _make(self, plan: Plan, watch: Watch, over: list[bool]) -> str:
        means = self._means

        def progress(done: int, total: int) -> None:
            watch.said = f"{number(done)}/{number(total)}"
            if watch.stop.is_set() and done < total:
                raise InterruptedByUser(f"stopped after {number(done)} of {number(total)}")

        with closing(means.admin()) as admin:
            desk = OutboxDesk(admin, means.access, means.options)
            result = desk.apply(plan, Who(means.actor, watch.reason), progress)
        over.append(True)
        return _told(plan, result)


def _told(plan: Plan, result: ChangeResult) -> str:
    left = [f"{number(count)} left: {why.value}" for why, count in result.left.items()]
    return ", ".join([f"{number(result.changed)} of {number(len(plan.ids))} done", *left])


def _flags(selector: Selector) -> tuple[str, ...]:
    """The same events, as a command line says it."""
    statuses = [word for status in sorted(selector.statuses) for word in ("--status", status.value)]
    kind = ("--type", selector.aggregate_type) if selector.aggregate_type else ()
    dead = ("--dead",) if selector.dead else ()
    everything = ("--all",) if selector.everything else ()
    return (*statuses, *kind, *dead, *everything)


class PauseChanges:
    """Plans of pauses, and of their ends."""

    def __init__(self, means: OutboxMeans) -> None:
        self._means = means

    def ask(self, verb: str, shard: str) -> Question:
        """Which part of the outbox is meant. DeniedError in a read-only context."""
        require_writable(self._means.access, f"relay {verb}")

        def then(text: str) -> Step:
            part = self._part(text)
            return partial(self._pause if verb == "pause" else self._resume, part)

        lines = ("empty: everything; or one of:", "--shard 3", "--topic booking-events", "--aggregate-type BOOKING")
        return Question(title=f"{verb} which part of the outbox?", lines=lines, then=then, start=f"--shard {shard}")

    def _part(self, text: str) -> Part:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise UsageError("the options cannot be read", why=str(error)) from error
        if not words:
            return Part()
        name, equals, value = words[0].partition("=")
        rest = words[1:] if equals else words[2:]
        said = value if equals else "".join(words[1:2])
        if name not in _SCOPES or rest or not said:
            raise UsageError(
                f"{text} cannot be read", hint=f"write one of {', '.join(_SCOPES)} with its value, or nothing"
            )
        part = Part(_SCOPES[name], said)
        part.require_shard(self._means.shards)
        return part

    def _pause(self, part: Part) -> Proposal:
        part.require_known(self._means.options.topics)
        return Proposal(
            title=f"pause {part}",
            lines=(f"pause {part} for every relay of this outbox; events wait, nothing is lost",),
            command=self._command("pause", part),
            count=self._count(part),
            make=partial(self._paused, part),
        )

    def _paused(self, part: Part, watch: Watch) -> str:
        with closing(self._means.leases()) as leases:
            self._pauses(leases).pause(part.scope, part.value, watch.reason)
        return f"relays take note within a second; it ends with {self._command('resume', part)}"

    def _resume(self, part: Part) -> Proposal:
        with closing(self._means.leases()) as leases:
            found = leases.status().pauses
        mine = [one for one in found if (one.scope, one.value) == (part.scope, part.value)]
        if not mine:
            others = ", ".join(str(Part(one.scope, one.value)) for one in found)
            raise RefusedError(f"{part} is not paused", why=f"paused: {others}" if others else "nothing is")
        return Proposal(
            title=f"resume {part}",
            lines=(
                f"resume {part}",
                f"paused by {mine[0].by} since {mine[0].at:%Y-%m-%d %H:%M:%S}Z: {mine[0].reason or '-'}",
            ),
            command=self._command("resume", part),
            count=self._count(part),
            make=partial(self._resumed, part),
        )

    def _resumed(self, part: Part, watch: Watch) -> str:
        with closing(self._means.leases()) as leases:
            self._pauses(leases).resume(part.scope, part.value, watch.reason)
        return "resumed; relays take note within a second"

    def _pauses(self, leases: ShardLeases) -> Pauses:
        return Pauses(leases, self._means.access, self._means.actor)

    def _count(self, part: Part) -> int:
        """Shards where all are meant, otherwise the one part."""
        return self._means.shards if part.scope is PauseScope.ALL else 1

    def _command(self, verb: str, part: Part) -> str:
        return command_of("ticketops", "relay", verb, *part.flags, *self._means.tail)

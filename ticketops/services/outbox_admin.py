"""The verbs of `ticketops outbox`: a change is planned, shown, and then made in bounded batches."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from ticketops.domain.changes import Action, ChangeResult, EventDetail, Left, Operation, Summary
from ticketops.domain.outbox import PendingEvent, Status
from ticketops.domain.records import record_for, topic_of
from ticketops.domain.selectors import Selector, TimeOf, show_moment
from ticketops.errors import NotFoundError, RefusedError, UsageError
from ticketops.options import OutboxOptions
from ticketops.ports.outbox import OutboxAdmin
from ticketops.services.guard import Access, require_writable

BATCH = 500
"""Rows in one transaction of a change."""
DELETE_BATCH = 5000
_EXAMPLES = 20
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change would meet; the ids are frozen here, so that the change never chases its own results."""

    action: Action
    selector: Selector
    summary: Summary
    ids: tuple[bytes, ...]
    """Empty for `cleanup`, which deletes by condition."""
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Who:
    """Who makes a change, and why; for the audit log."""

    actor: str
    """user@host."""
    reason: str = ""


class OutboxDesk:
    """An operator at one outbox."""

    def __init__(self, admin: OutboxAdmin, access: Access, options: OutboxOptions) -> None:
        self._admin = admin
        self._access = access
        self._options = options

    def show(self, event_id: UUID) -> EventDetail:
        """One event, with the record that the relay would send of it."""
        detail = self._admin.show(event_id)
        topic = topic_of(detail.event.aggregate_type, self._options.topics)
        events = self._admin.events([event_id.bytes])
        headers = self._headers(events[0], topic) if events and topic else ()
        return replace(detail, topic=topic, headers=headers)

    def _headers(self, event: PendingEvent, topic: str) -> tuple[tuple[str, str], ...]:
        record = record_for(event, topic, headers=topic not in self._options.no_headers)
        return tuple((name, value.decode(errors="backslashreplace")) for name, value in record.headers or ())

    def plan(self, action: Action, selector: Selector) -> Plan:
        """What the change would meet. RefusedError without a selector, NotFoundError where an id is not there."""
        _require_selector(action, selector)
        self._require_ids(selector)
        chosen = self._fitted(action, selector)
        summary = self._admin.summarize(chosen)
        ids: tuple[bytes, ...] = ()
        if action is not Action.CLEANUP:
            ids = tuple(self._admin.select(chosen, companions=action is Action.RETRY))
        lines = plan_lines(action, chosen, summary, len(ids), self._options)
        return Plan(action, chosen, summary, ids, lines)

    def _require_ids(self, selector: Selector) -> None:
        missing = self._admin.missing(selector.ids)
        if missing:
            shown = ", ".join(str(event_id) for event_id in missing[:5])
            raise NotFoundError(
                f"{len(missing)} of {len(selector.ids)} events are not in the outbox",
                why=shown + (", …" if len(missing) > 5 else ""),  # noqa: PLR2004 - as many as are shown
                hint="nothing was changed; a published event is deleted after outbox.retention_days",
            )

    def _fitted(self, action: Action, selector: Selector) -> Selector:
        if action is Action.REPLAY:
            if not self._marks_published:
                raise UsageError("nothing can be replayed", why="published events of this outbox are deleted, not kept")
            return _with_status(selector, Status.PUBLISHED)
        if action is Action.CLEANUP:
            return self._expired(_with_status(selector, Status.PUBLISHED))
        if selector.ids or selector.statuses:
            return selector
        if action is Action.RETRY:
            return replace(selector, troubled=True)
        return replace(selector, statuses=frozenset({Status.PENDING, Status.FAILED}))

    @property
    def _marks_published(self) -> bool:
        columns = self._options.columns
        return bool(columns.status)

    def _expired(self, selector: Selector) -> Selector:
        if selector.until is not None:
            return _by(selector, TimeOf.PUBLISHED)
        if not self._options.retention_days:
            raise UsageError(
                "it is not said what is old", why="outbox.retention_days is 0: rows are kept", hint="give --older-than"
            )
        until = self._admin.now() - timedelta(seconds=self._options.retention_days * _DAY)
        return _by(selector, TimeOf.PUBLISHED, until)

    def require_writable(self, action: Action) -> None:
        """DeniedError where the context is read-only."""
        require_writable(self._access, f"outbox {action}")

    def apply(self, plan: Plan, who: Who, progress: Callable[[int, int], None]) -> ChangeResult:
        """Make the change; `progress` gets events handled and in all. DeniedError in a read-only context."""
        self.require_writable(plan.action)
        operation = operation_of(plan, who)
        self._admin.begin(operation)
        tally = Tally()
        try:
            if plan.action is Action.CLEANUP:
                self._delete(operation, plan, tally, progress)
            else:
                self._change(operation, plan, tally, progress)
        except BaseException:
            self._admin.end(operation, "interrupted", tally.left)
            raise
        self._admin.end(operation, "partly" if tally.left else "done", tally.left)
        return tally.result(operation.id)

    def _change(self, operation: Operation, plan: Plan, tally: "Tally", progress: Callable[[int, int], None]) -> None:
        verb = self._admin.retry if plan.action is Action.RETRY else self._admin.skip
        for start in range(0, len(plan.ids), BATCH):
            batch = plan.ids[start : start + BATCH]
            result = verb(operation, batch)
            tally.add(result.changed, result.left)
            progress(start + len(batch), len(plan.ids))

    def _delete(self, operation: Operation, plan: Plan, tally: "Tally", progress: Callable[[int, int], None]) -> None:
        most = plan.selector.limit
        while True:
            limit = DELETE_BATCH if most is None else min(DELETE_BATCH, most - tally.changed)
            deleted = self._admin.delete_published(operation, plan.selector, limit) if limit else 0
            tally.add(deleted)
            progress(tally.changed, max(plan.summary.count, tally.changed))
            if deleted < limit or not limit:
                return


class Tally:
    """Counts what came of a change."""

    def __init__(self) -> None:
        self.changed = 0
        self.left: Counter[Left] = Counter()
        self._examples: list[tuple[UUID, Left]] = []

    def add(self, changed: int, left: Sequence[tuple[bytes, Left]] = ()) -> None:
        """Count one batch."""
        self.changed += changed
        self.left.update(why for _, why in left)
        room = _EXAMPLES - len(self._examples)
        self._examples += [(UUID(bytes=event_id), why) for event_id, why in left[:room]]

    def result(self, operation: UUID) -> ChangeResult:
        """The sums."""
        return ChangeResult(
            operation=operation, changed=self.changed, left=dict(self.left), examples=tuple(self._examples)
        )


def operation_of(plan: Plan, who: Who) -> Operation:
    """A new operation, with an id of its own."""
    return Operation(id=uuid4(), action=plan.action, actor=who.actor, reason=who.reason, selector=plan.selector.words())


def plan_lines(
    action: Action, selector: Selector, summary: Summary, chosen: int, options: OutboxOptions
) -> tuple[str, ...]:
    """The plan in words: how many, how old, why, where to."""
    verb = {Action.RETRY: "retry", Action.SKIP: "skip", Action.REPLAY: "publish again", Action.CLEANUP: "delete"}
    lines = [f"{verb[action]} {max(summary.count, chosen)} events: {_pairs(summary.by_status)}"]
    if action is Action.RETRY and chosen > summary.count:
        lines.append(f"of these, {chosen - summary.count} are parked events of the same aggregates: order is kept")
    if summary.oldest and summary.newest:
        lines.append(f"created {show_moment(summary.oldest)} … {show_moment(summary.newest)}")
    lines += [f"{number} times: {text}" for text, number in summary.reasons if action is not Action.CLEANUP]
    if action in {Action.RETRY, Action.REPLAY}:
        lines.append(f"to {_pairs(_topics(summary.by_type, options))}")
    lines.append(f"selected by {_pairs(selector.words()) or 'all'}")
    return (*lines, *_warnings(action))


def _warnings(action: Action) -> tuple[str, ...]:
    match action:
        case Action.REPLAY:
            return (
                "consumers see these events again, at least once, after newer ones of the same key",
                "header ticketops-replay holds the operation's id, except on topics without headers",
            )
        case Action.SKIP:
            return ("a skipped event is a dead letter; what a relay has read already may still be published",)
        case _:
            return ()


def _topics(by_type: Mapping[str, int], options: OutboxOptions) -> dict[str, int]:
    topics: Counter[str] = Counter()
    for kind, number in by_type.items():
        topics[topic_of(kind, options.topics) or f"(no topic for {kind})"] += number
    return dict(topics)


def _pairs(counts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in counts.items())


def _require_selector(action: Action, selector: Selector) -> None:
    if action is Action.CLEANUP or selector.selects or selector.everything:
        return
    raise RefusedError(
        f"it is not said which events to {action}",
        why="a change without a selector would meet every event",
        hint="give ids or a selector such as --dead or --key, or --all if you mean all",
    )


def _with_status(selector: Selector, status: Status) -> Selector:
    if selector.statuses - {status} or selector.dead:
        raise UsageError(f"only {status} events can be chosen here")
    return replace(selector, statuses=frozenset({status}))


def _by(selector: Selector, time_of: TimeOf, until: datetime | None = None) -> Selector:
    return replace(selector, time_of=time_of, until=until or selector.until)

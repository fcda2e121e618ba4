"""What each part's figures mean: from which values on a line is not ok, its word, and the command to run next."""

import shlex
from collections.abc import Iterator, Sequence

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check, Thresholds, Trends, Unit
from ticketops.domain.overview.snapshot import (
    AlertFigures,
    BackendFigures,
    CompensationFigures,
    DeadLetterFigures,
    EmailFigures,
    GroupLag,
    OutboxFigures,
    RedisQueueFigures,
    RelayFigures,
    StateFigures,
)

EVALUATED = 3.0
"""Intervals without a look after which nobody evaluates any more."""
_TOPICS = 3
"""Topics that fit a line."""


def backend(name: str, value: BackendFigures, _: Thresholds, __: Trends) -> Iterator[Check]:
    """A backend that answered."""
    note = _joined([value.version, value.detail], " ")
    yield Check(area="backend", subject=name, value=value.latency, unit=Unit.SECONDS, note=note)


def outbox(value: OutboxFigures, bounds: Thresholds, _: Trends) -> Iterator[Check]:
    """STOP: old events and nothing goes out; SLOW: old events; MANY: more than the bound; HELD: aggregates wait."""
    old = _over(value.oldest_seconds, bounds.outbox_oldest)
    many = bool(bounds.outbox_pending) and value.pending > bounds.outbox_pending
    stopped = old and not value.rate_out
    yield Check(
        area="outbox",
        subject="pending",
        word=("STOP" if stopped else "SLOW") if old else "MANY" if many else "OK",
        grade=Grade.BAD if stopped else Grade.WARN if old or many else Grade.OK,
        value=value.pending,
        unit=Unit.COUNT,
        threshold=bounds.outbox_oldest,
        threshold_unit=Unit.SECONDS,
        age_seconds=value.oldest_seconds,
        note=f"in {value.rate_in:.1f}/s, out {value.rate_out:.1f}/s",
        next="ticketops relay status" if old or many else "",
    )
    if value.held_back:
        yield Check(
            area="outbox",
            subject="held back",
            word="HELD",
            grade=Grade.WARN,
            value=value.held_back,
            unit=Unit.COUNT,
            threshold=0,
            note="aggregates wait for a retry or for you",
            next="ticketops outbox list --state retrying",
        )
    if value.dead:
        yield Check(
            area="outbox",
            subject="dead",
            word="DEAD",
            grade=Grade.WARN,
            value=value.dead,
            unit=Unit.COUNT,
            threshold=0,
            note="events that the relay gave up",
            next="ticketops outbox list --state dead",
        )


def relay(value: RelayFigures, _: Thresholds, __: Trends) -> Iterator[Check]:
    """DOWN: no relay; UNOWNED: shards that nobody serves; PAUSED: somebody paused a part."""
    word, grade = "OK", Grade.OK
    if not value.live:
        word, grade = "DOWN", Grade.BAD
    elif value.unowned:
        word, grade = "UNOWNED", Grade.BAD
    elif value.paused:
        word, grade = "PAUSED", Grade.WARN
    owned = f"{value.shards - value.unowned} of {value.shards} shards owned"
    yield Check(
        area="relay",
        subject="relays",
        word=word,
        grade=grade,
        value=value.live,
        unit=Unit.COUNT,
        threshold=1,
        note=_joined([owned, f"{value.rate:.1f} events/s", _counted(value.paused, "paused"), value.last_error]),
        next="" if grade is Grade.OK else "ticketops relay status" if value.live else "ticketops relay run",
    )


def dead_letters(value: DeadLetterFigures, bounds: Thresholds, trends: Trends) -> Iterator[Check]:
    """GROWS: more than the bound, and more arrive; FULL: more than the bound."""
    many = value.depth > bounds.dead_letters
    arriving = bool(value.arrivals.get("5m")) or (trends.of("dlq", value.queue) or 0) > 0
    top = max(value.reasons.items(), key=lambda pair: pair[1], default=None)
    yield Check(
        area="dlq",
        subject=value.queue,
        word=("GROWS" if arriving else "FULL") if many else "OK",
        grade=(Grade.BAD if arriving else Grade.WARN) if many else Grade.OK,
        value=value.depth,
        unit=Unit.COUNT,
        threshold=bounds.dead_letters,
        age_seconds=value.oldest_seconds,
        note=_joined([f"{top[1]} {top[0]}" if top else "", _counted(value.groups_new or 0, "groups new in 24 h")]),
        next=f"ticketops dlq stats --queue {shlex.quote(value.queue)}" if many else "",
    )


def lag(value: Sequence[GroupLag], _: Thresholds, __: Trends) -> Iterator[Check]:
    """One line for each group, with its worst partition's verdict; GONE: it is not there any more."""
    for group in value:
        verdict, oldest = "GONE" if group.kind == "gone" else group.judgment.verdict, group.oldest
        topics = sorted({part.topic for part in group.partitions})
        shown = ", ".join(topics[:_TOPICS]) + (" …" if len(topics) > _TOPICS else "")
        yield Check(
            area="lag",
            subject=group.group,
            word=verdict,
            grade=group.grade,
            provisional=group.judgment.provisional,
            value=group.lag,
            unit=Unit.COUNT,
            age_seconds=oldest.seconds if oldest else None,
            note=_joined([shown, group.note], "; "),
            next=_next_of(group),
        )


def _next_of(group: GroupLag) -> str:
    if group.kind in {"gone", "unlisted"}:
        return "" if group.kind == "gone" else "ticketops doctor"
    return "" if group.grade is Grade.OK else f"ticketops lag show {shlex.quote(group.group)}"


def states(value: StateFigures, _: Thresholds, __: Trends) -> Iterator[Check]:
    """STUCK: longer in a state than its limit; EXPIRED: past expires_at; INVALID: moved against the machine's table."""
    other = value.machine != "booking"
    prefix, flag = (f"{value.machine} ", f" --machine {shlex.quote(value.machine)}") if other else ("", "")
    for state, number in value.stuck.items():
        yield Check(
            area="state",
            subject=prefix + state,
            word="STUCK" if number else "OK",
            grade=Grade.WARN if number else Grade.OK,
            value=number,
            unit=Unit.COUNT,
            threshold=value.limits.get(state),
            threshold_unit=Unit.SECONDS,
            age_seconds=value.oldest.get(state),
            note=f"{value.counts.get(state, 0)} in this state",
            next=f"ticketops state stuck --state {shlex.quote(state)}{flag}" if number else "",
        )
    yield Check(
        area="state",
        subject=f"{prefix}expired",
        word="EXPIRED" if value.expired else "OK",
        grade=Grade.WARN if value.expired else Grade.OK,
        value=value.expired,
        unit=Unit.COUNT,
        threshold=0,
        next=f"ticketops state expire --dry-run{flag}" if value.expired else "",
    )
    if value.invalid:
        yield Check(
            area="state",
            subject=f"{prefix}invalid",
            word="INVALID",
            grade=Grade.WARN,
            value=value.invalid,
            unit=Unit.COUNT,
            threshold=0,
            note="transitions of the last hour that the table does not have",
            next=f"ticketops state verify{flag}",
        )


def compensations(value: CompensationFigures, bounds: Thresholds, _: Trends) -> Iterator[Check]:
    """LATE: due for longer than the bound; NEVER: rows that the service will not pick; FAILED: given up."""
    late = _over(value.oldest_due_seconds, bounds.compensations_due)
    word = "LATE" if late else "NEVER" if value.never else "FAILED" if value.failed else "OK"
    never = _counted(value.never, "without next_retry_at are never picked")
    yield Check(
        area="compensations",
        subject="due",
        word=word,
        grade=Grade.OK if word == "OK" else Grade.WARN,
        value=value.due + value.never,
        unit=Unit.COUNT,
        threshold=bounds.compensations_due,
        threshold_unit=Unit.SECONDS,
        age_seconds=value.oldest_due_seconds,
        note=_joined([never, _counted(value.failed, "failed for good")]),
        next="" if word == "OK" else f"ticketops dlq {'stats' if word == 'FAILED' else 'doctor'} --queue compensations",
    )


def emails(value: EmailFigures, bounds: Thresholds, _: Trends) -> Iterator[Check]:
    """NEVER: rows without an entry in Redis; LATE: jobs older than the bound; FAILED: jobs that failed."""
    late = _over(value.oldest_seconds, bounds.emails_oldest)
    word = "NEVER" if value.without_entry else "LATE" if late else "FAILED" if value.failed else "OK"
    never = _counted(value.without_entry, "rows without an entry in Redis are never sent")
    yield Check(
        area="emails",
        subject="pending",
        word=word,
        grade=Grade.OK if word == "OK" else Grade.WARN,
        value=value.pending,
        unit=Unit.COUNT,
        threshold=bounds.emails_oldest,
        threshold_unit=Unit.SECONDS,
        age_seconds=value.oldest_seconds,
        note=_joined([never, _counted(value.failed, "failed within 24 h")]),
        next="ticketops doctor" if word != "OK" else "",
    )


def queues(value: RedisQueueFigures, bounds: Thresholds, _: Trends) -> Iterator[Check]:
    """SLOW: an item waits for longer than the bound."""
    old = _over(value.oldest_seconds, bounds.queue_oldest)
    yield Check(
        area="queues",
        subject="bookings",
        word="SLOW" if old else "OK",
        grade=Grade.WARN if old else Grade.OK,
        value=value.depth,
        unit=Unit.COUNT,
        threshold=bounds.queue_oldest,
        threshold_unit=Unit.SECONDS,
        age_seconds=value.oldest_seconds,
        note=_joined([f"{value.queues} shows", *(f"{show}: {depth}" for show, depth in value.deepest[:2])]),
        next="ticketops worker bookings" if old else "",
    )


def alerts(value: AlertFigures, _: Thresholds, __: Trends) -> Iterator[Check]:
    """SILENT: nobody evaluates; UNSENT: a message that could not be delivered; FIRING: rules that hold."""
    seconds, most = value.evaluated_seconds, EVALUATED * value.interval
    silent = seconds is None or seconds > most
    word = "SILENT" if silent else "UNSENT" if value.undelivered else "FIRING" if value.firing else "OK"
    since = "no rule was ever looked at" if seconds is None else f"no rule was looked at for {seconds:.0f} s"
    note = since if silent else value.last_error if value.undelivered else _counted(value.pending, "pending")
    yield Check(
        area="alerts",
        subject="rules",
        word=word,
        grade=Grade.BAD if silent or value.undelivered else Grade.WARN if value.firing else Grade.OK,
        value=value.firing,
        unit=Unit.COUNT,
        threshold=0,
        note=note,
        next="" if word == "OK" else "ticketops alerts run" if silent else "ticketops alerts list",
    )


def _over(value: float | None, bound: float) -> bool:
    return value is not None and value > bound


def _counted(number: int, words: str) -> str:
    return f"{number} {words}" if number else ""


def _joined(parts: Sequence[str], separator: str = ", ") -> str:
    return separator.join(part for part in parts if part)

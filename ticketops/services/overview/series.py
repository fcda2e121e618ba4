"""What each part of a snapshot is in Prometheus' words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeVar

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check
from ticketops.domain.overview.snapshot import GroupLag, Reading, Snapshot
from ticketops.domain.text import shorten

T = TypeVar("T")
_REASONS: Final = 20
"""Series of one queue's depth."""
_LONGEST: Final = 100
"""Characters of a reason."""
GRADES: Final = {Grade.OK: 0.0, Grade.UNKNOWN: 1.0, Grade.WARN: 2.0, Grade.BAD: 3.0}


class Metric(NamedTuple):
    """One metric with its series."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: Iterable[tuple[tuple[str, ...], float]]
    counter: bool = False
    """True: it only grows, and Prometheus knows it with `_total` at its end; False: a gauge."""


def metrics(snapshot: Snapshot, lines: Iterable[Check]) -> Iterator[Metric]:
    """Every gauge of a snapshot; parts that could not be asked have none, rather than old or zero ones."""
    up = (((source.value,), float(reading.fresh)) for source, reading in snapshot.backends.items())
    yield Metric("ticketops_backend_up", "1 while the backend answers", ("backend",), up)
    yield _single("ticketops_snapshot_timestamp_seconds", "When the snapshot was made", snapshot.at.timestamp())
    graded = (((line.area, line.subject), GRADES[line.grade]) for line in lines)
    yield Metric("ticketops_check", f"A line of `ticketops status`: {_SCALE}", ("area", "subject"), graded)
    for part in (_outbox, _relay, _dead_letters, _lag, _states, _compensations, _emails, _queues, _alerts):
        yield from part(snapshot)


_SCALE: Final = "0 ok, 1 unknown, 2 warning, 3 bad"


def _value(reading: "Reading[T] | None") -> T | None:
    return reading.value if reading is not None and reading.fresh else None


def _single(name: str, help_text: str, value: float) -> Metric:
    return Metric(name, help_text, (), [((), float(value))])


def _outbox(snapshot: Snapshot) -> Iterator[Metric]:
    if (value := _value(snapshot.outbox)) is None:
        return
    yield _single("ticketops_outbox_pending", "Outbox rows that wait to be published", value.pending)
    age = "Age of the oldest pending outbox event that is not held back"
    yield _single("ticketops_outbox_oldest_pending_seconds", age, value.oldest_seconds or 0.0)
    held = "Aggregates that wait for a retry or for the operator"
    yield _single("ticketops_outbox_held_back_aggregates", held, value.held_back)
    yield _single("ticketops_outbox_dead_letters", "Events that the relay gave up", value.dead)
    yield _single("ticketops_outbox_created_per_second", "Over the last minute", value.rate_in)
    yield _single("ticketops_outbox_published_per_second", "Over the last minute", value.rate_out)


def _relay(snapshot: Snapshot) -> Iterator[Metric]:
    if (value := _value(snapshot.relay)) is None:
        return
    yield _single("ticketops_relays", "Relays that live", value.live)
    yield _single("ticketops_relay_unowned_shards", "Shards that no relay serves", value.unowned)
    yield _single("ticketops_relay_pauses", "Pauses in force", value.paused)


def _dead_letters(snapshot: Snapshot) -> Iterator[Metric]:
    known = [(queue, _value(reading)) for queue, reading in snapshot.dead_letters.items()]
    figures = [(queue, value) for queue, value in known if value is not None]
    depth = [
        ((queue, reason), float(number))
        for queue, value in figures
        for reason, number in _bounded(value.reasons or {"": value.depth})
    ]
    oldest = [((queue,), value.oldest_seconds or 0.0) for queue, value in figures]
    yield Metric("ticketops_dlq_depth", "Dead letters", ("queue", "reason"), depth)
    yield Metric("ticketops_dlq_oldest_seconds", "Age of the oldest dead letter", ("queue",), oldest)
    moved = [((queue,), float(number)) for queue, number in (_value(snapshot.requeued) or {}).items()]
    yield Metric("ticketops_dlq_requeued", "Dead letters that were put back", ("queue",), moved, counter=True)


def _bounded(reasons: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The most frequent reasons, and the others together: producers of dead letters write what they like."""
    counted: Counter[str] = Counter()
    for rank, (reason, number) in enumerate(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))):
        counted[shorten(reason, _LONGEST) if rank < _REASONS else "(others)"] += number
    yield from counted.items()


def _lag(snapshot: Snapshot) -> Iterator[Metric]:
    groups = _value(snapshot.lag) or ()
    labels = ("group", "topic", "partition")
    yield Metric("ticketops_consumer_lag", "Records not consumed", labels, _lags(groups))
    yield Metric("ticketops_consumer_lag_seconds", "Age of the oldest record not consumed", labels, _ages(groups))
    verdicts = (((group.group, group.judgment.verdict.value), GRADES[group.grade]) for group in groups)
    yield Metric("ticketops_consumer_group_grade", f"The verdict: {_SCALE}", ("group", "verdict"), verdicts)
    members = (((group.group,), float(group.members)) for group in groups)
    yield Metric("ticketops_consumer_group_members", "Members of the group", ("group",), members)


def _lags(groups: Iterable[GroupLag]) -> Iterator[tuple[tuple[str, ...], float]]:
    for group in groups:
        for part in group.partitions:
            if part.judgment.lag is not None:
                yield (group.group, part.topic, str(part.partition)), float(part.judgment.lag)


def _ages(groups: Iterable[GroupLag]) -> Iterator[tuple[tuple[str, ...], float]]:
    for group in groups:
        for part in group.partitions:
            if part.age is not None:
                yield (group.group, part.topic, str(part.partition)), part.age.seconds


def _states(snapshot: Snapshot) -> Iterator[Metric]:
    known = [_value(reading) for reading in snapshot.states.values()]
    figures = [value for value in known if value is not None]
    labels = ("machine", "state")
    counts = [((value.machine, state), float(n)) for value in figures for state, n in value.counts.items()]
    stuck = [((value.machine, state), float(n)) for value in figures for state, n in value.stuck.items()]
    expired = [((value.machine,), float(value.expired)) for value in figures]
    invalid = [((value.machine,), float(value.invalid)) for value in figures]
    yield Metric("ticketops_state_subjects", "Bookings, or another machine's subjects, by state", labels, counts)
    yield Metric("ticketops_state_stuck", "Subjects in a state for longer than its limit", labels, stuck)
    yield Metric("ticketops_state_expired", "Subjects past expires_at that have not ended", ("machine",), expired)
    against = "Transitions of the last hour, of the newest, that the machine's table does not have"
    yield Metric("ticketops_state_invalid", against, ("machine",), invalid)


def _compensations(snapshot: Snapshot) -> Iterator[Metric]:
    if (value := _value(snapshot.compensations)) is None:
        return
    yield _single("ticketops_compensations_due", "Compensations that are due", value.due)
    yield _single("ticketops_compensations_never_picked", "PENDING without next_retry_at", value.never)
    yield _single("ticketops_compensations_failed", "FAILED or MANUAL", value.failed)


def _emails(snapshot: Snapshot) -> Iterator[Metric]:
    if (value := _value(snapshot.emails)) is None:
        return
    yield _single("ticketops_email_jobs_pending", "Email jobs that wait", value.pending)
    yield _single("ticketops_email_jobs_without_entry", "Rows that no worker will see", value.without_entry)
    yield _single("ticketops_email_jobs_failed", "Failed within 24 hours", value.failed)


def _queues(snapshot: Snapshot) -> Iterator[Metric]:
    if (value := _value(snapshot.queues)) is None:
        return
    yield _single("ticketops_booking_queue_items", "Items in the shows' queues", value.depth)
    yield _single("ticketops_booking_queue_oldest_seconds", "Age of the oldest item", value.oldest_seconds or 0.0)


def _alerts(snapshot: Snapshot) -> Iterator[Metric]:
    if (value := _value(snapshot.alerts)) is None:
        return
    yield _single("ticketops_alerts_firing", "Alerts that fire", value.firing)
    if value.evaluated_seconds is not None:
        yield _single("ticketops_alerts_evaluated_seconds", "Since the rules were looked at", value.evaluated_seconds)
    yield _single("ticketops_alerts_undelivered", "Messages that could not be delivered", value.undelivered)

"""What else a snapshot holds that one line of it may come from, or lead to."""

from collections.abc import Iterator

from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check
from ticketops.domain.overview.snapshot import DeadLetterFigures, GroupLag, Snapshot


def links(line: Check, snapshot: Snapshot) -> Iterator[str]:
    """Facts of other parts that belong to a line, the nearest cause first."""
    if line.grade is Grade.OK:
        return
    yield from _lost(line, snapshot)
    match line.area:
        case "lag":
            yield from _letters(snapshot)
        case "outbox":
            yield from _relays(snapshot)
        case "relay":
            yield from _backlog(snapshot)
        case "dlq":
            yield from _groups(snapshot)
        case "state" | "emails" | "queues":
            yield from _relays(snapshot)
            yield from _backlog(snapshot)
            yield from _groups(snapshot)
            yield from _letters(snapshot)
        case _:
            return


def _lost(line: Check, snapshot: Snapshot) -> Iterator[str]:
    for source, reading in snapshot.backends.items():
        if not reading.fresh and (line.area, line.subject) != ("backend", source):
            yield f"{source} does not answer"


def _letters(snapshot: Snapshot) -> Iterator[str]:
    known = [reading.value for reading in snapshot.dead_letters.values() if reading.value is not None]
    for value in sorted(known, key=lambda one: -_arrived(one)):
        if _arrived(value) or value.depth:
            since = f", {_arrived(value)} of them in 5 min" if _arrived(value) else ""
            top = max(value.reasons.items(), key=lambda pair: pair[1], default=None)
            share = f", {100 * top[1] // max(value.depth, 1)} % {top[0]}" if top else ""
            yield f"{value.depth} dead letters in {value.queue}{since}{share}"


def _arrived(value: DeadLetterFigures) -> int:
    return value.arrivals.get("5m", 0)


def _relays(snapshot: Snapshot) -> Iterator[str]:
    value = snapshot.relay.value if snapshot.relay else None
    if value is None:
        return
    if not value.live:
        yield "no relay lives"
    elif value.unowned:
        yield f"{value.unowned} of {value.shards} shards have no relay"
    if value.paused:
        yield f"{value.paused} pauses are in force"


def _backlog(snapshot: Snapshot) -> Iterator[str]:
    value = snapshot.outbox.value if snapshot.outbox else None
    if value is not None and value.pending:
        yield f"{value.pending} events wait in the outbox" + (
            f", {value.held_back} held back" if value.held_back else ""
        )


def _groups(snapshot: Snapshot) -> Iterator[str]:
    groups: tuple[GroupLag, ...] = (snapshot.lag.value or ()) if snapshot.lag else ()
    for group in groups:
        if group.grade is Grade.BAD:
            yield f"group {group.group} is {group.judgment.verdict}, {group.lag} records behind"

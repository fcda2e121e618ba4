"""What a rule can look at: the snapshot's figures by area, one set of values for each subject."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ticketops.domain.overview.snapshot import Reading, Snapshot

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """One subject of an area: a queue, a group, a state, or the area itself."""

    area: str
    subject: str
    values: Values | None
    """None: the source did not answer, so nothing can be said."""


FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "backend": ("name", "up", "latency"),
    "outbox": ("pending", "oldest", "held_back", "dead", "rate_in", "rate_out"),
    "relay": ("live", "dead", "shards", "unowned", "rate", "paused"),
    "dlq": ("queue", "kind", "depth", "oldest", "arrivals_5m", "arrivals_1h", "arrivals_24h", "new_groups"),
    "lag": ("group", "verdict", "grade", "lag", "oldest", "members", "state"),
    "state": ("machine", "state", "count", "stuck", "oldest", "limit"),
    "machine": ("machine", "expired", "invalid"),
    "compensations": ("due", "never", "failed", "oldest"),
    "emails": ("pending", "oldest", "without_entry", "failed"),
    "queues": ("depth", "shows", "oldest"),
}
"""What an expression can name, by area; ages are seconds, 0 where nothing waits; docs/alerts.md explains each."""


def facts(snapshot: Snapshot) -> Iterator[Fact]:
    """Everything that rules can look at."""
    for part in (_backends, _single_parts, _dead_letters, _lag, _states):
        yield from part(snapshot)


def _backends(snapshot: Snapshot) -> Iterator[Fact]:
    for source, reading in snapshot.backends.items():
        latency = reading.value.latency if reading.value and reading.fresh else 0.0
        yield Fact("backend", source, {"name": source.value, "up": reading.fresh, "latency": latency})


def _single_parts(snapshot: Snapshot) -> Iterator[Fact]:
    readings: Mapping[str, Reading[Any] | None] = {
        "outbox": snapshot.outbox,
        "relay": snapshot.relay,
        "compensations": snapshot.compensations,
        "emails": snapshot.emails,
        "queues": snapshot.queues,
    }
    for area, reading in readings.items():
        if reading is not None:
            yield Fact(area, area, _READERS[area](reading.value) if _told(reading) else None)


_READERS: Final[Mapping[str, Callable[[Any], Values]]] = {
    "outbox": lambda value: {
        "pending": value.pending,
        "oldest": value.oldest_seconds or 0.0,
        "held_back": value.held_back,
        "dead": value.dead,
        "rate_in": value.rate_in,
        "rate_out": value.rate_out,
    },
    "relay": lambda value: {name: getattr(value, name) for name in FIELDS["relay"]},
    "compensations": lambda value: {
        "due": value.due,
        "never": value.never,
        "failed": value.failed,
        "oldest": value.oldest_due_seconds or 0.0,
    },
    "emails": lambda value: {
        "pending": value.pending,
        "oldest": value.oldest_seconds or 0.0,
        "without_entry": value.without_entry,
        "failed": value.failed,
    },
    "queues": lambda value: {"depth": value.depth, "shows": value.queues, "oldest": value.oldest_seconds or 0.0},
}


def _told(reading: Reading[Any]) -> bool:
    return reading.fresh and reading.value is not None


def _dead_letters(snapshot: Snapshot) -> Iterator[Fact]:
    for name, reading in snapshot.dead_letters.items():
        value = reading.value
        if value is None or not reading.fresh:
            yield Fact("dlq", name, None)
            continue
        yield Fact(
            "dlq",
            name,
            {
                "queue": name,
                "kind": value.kind,
                "depth": value.depth,
                "oldest": value.oldest_seconds or 0.0,
                **{f"arrivals_{window}": value.arrivals.get(window, 0) for window in ("5m", "1h", "24h")},
                "new_groups": value.groups_new or 0,
            },
        )


def _lag(snapshot: Snapshot) -> Iterator[Fact]:
    reading = snapshot.lag
    if reading is None:
        return
    if not _told(reading):
        yield Fact("lag", "", None)
        return
    for group in reading.value or ():
        oldest = group.oldest
        values = {
            "group": group.group,
            "verdict": group.judgment.verdict.value,
            "grade": group.grade.value,
            "lag": group.lag,
            "oldest": oldest.seconds if oldest else 0.0,
            "members": group.members,
            "state": group.state,
        }
        yield Fact("lag", group.group, values if group.judgment.verdict != "UNKN" else None)


def _states(snapshot: Snapshot) -> Iterator[Fact]:
    for machine, reading in snapshot.states.items():
        value = reading.value
        if value is None or not reading.fresh:
            yield Fact("state", machine, None)
            yield Fact("machine", machine, None)
            continue
        yield Fact("machine", machine, {"machine": machine, "expired": value.expired, "invalid": value.invalid})
        for state, stuck in value.stuck.items():
            values = {
                "machine": machine,
                "state": state,
                "count": value.counts.get(state, 0),
                "stuck": stuck,
                "oldest": value.oldest.get(state, 0.0),
                "limit": value.limits.get(state, 0.0),
            }
            yield Fact("state", f"{machine}/{state}", values)

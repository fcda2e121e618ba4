"""Which outbox events a command means: one selector for every verb, with times resolved once."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from ticketops.domain.outbox import FailureState, Status
from ticketops.errors import UsageError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_RELATIVE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhdw])", re.ASCII)


class TimeOf(StrEnum):
    """Which time of an event `since` and `until` are about."""

    CREATED = "created_at"
    PUBLISHED = "published_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Every condition must hold; one that is None or empty holds for all."""

    ids: tuple[UUID, ...] = ()
    statuses: frozenset[Status] = frozenset()
    aggregate_type: str | None = None
    event_type: str | None = None
    key: str | None = None
    """aggregate_id."""
    since: datetime | None = None
    """Inclusive."""
    until: datetime | None = None
    """Exclusive."""
    time_of: TimeOf = TimeOf.CREATED
    match: str | None = None
    """Text in last_error, in any case."""
    dead: bool = False
    """Dead letters only."""
    state: FailureState | None = None
    troubled: bool = False
    """FAILED, or held back by a failure; a narrowing that a verb makes, not a condition that someone gave."""
    limit: int | None = None
    """The first so many, in order."""
    everything: bool = False
    """`--all`: said on purpose that no condition is meant."""

    def __post_init__(self) -> None:
        for name in ("aggregate_type", "event_type", "key", "match"):
            check_text(name, getattr(self, name))
        check_range(self.since, self.until)

    @property
    def selects(self) -> bool:
        """True where any condition is set; a limit alone is none."""
        conditions = (
            self.ids, self.statuses, self.aggregate_type, self.event_type, self.key, self.since, self.until,
            self.match, self.dead, self.state,
        )  # fmt: skip
        return any(conditions)

    def words(self) -> dict[str, object]:
        """The conditions that are set, for the audit log and for people; ids as their number."""
        said: dict[str, object] = {
            "ids": len(self.ids) or None,
            "status": ",".join(sorted(self.statuses)) or None,
            "type": self.aggregate_type,
            "event_type": self.event_type,
            "key": self.key,
            "since": show_moment(self.since) if self.since else None,
            "until": show_moment(self.until) if self.until else None,
            "time": self.time_of.value if self.since or self.until else None,
            "match": self.match,
            "dead": self.dead or None,
            "state": self.state,
            "limit": self.limit,
            "all": self.everything or None,
        }
        return {name: value for name, value in said.items() if value is not None}


def check_text(name: str, value: str | None) -> None:
    """UsageError where an option's value cannot be stored or compared as text."""
    if value is None:
        return
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
        raise UsageError(f"--{name.replace('_', '-')} is not text", why="it holds a NUL or bytes that are not UTF-8")


def check_range(since: datetime | None, until: datetime | None) -> None:
    """UsageError where nothing can lie between the two."""
    if since and until and since >= until:
        raise UsageError(
            "the time range is empty",
            why=f"{show_moment(since)} is not before {show_moment(until)}",
            hint="--since is the earlier time, as in --since 2h --until 1h",
        )


def parse_range(
    since: str | None, until: str | None, older_than: str | None, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """--since, and --until or --older-than, resolved against one `now`. Raises UsageError."""
    if until and older_than:
        raise UsageError("--until and --older-than exclude each other", hint="give one of them")
    end = until or older_than
    return (parse_moment(since, now) if since else None, parse_moment(end, now) if end else None)


def parse_moment(text: str, now: datetime) -> datetime:
    """A time from `15m`, `2h`, `3d` (before `now`) or RFC 3339; without an offset it is UTC.

    Raises UsageError.
    """
    if found := _RELATIVE.fullmatch(text.strip()):
        return _before(now, text, parse_span(found[0]))
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _no_moment(text) from None


def parse_span(text: str) -> timedelta:
    """A span from `90s`, `15m`, `2h`, `3d`, `1w`. Raises UsageError."""
    found = _RELATIVE.fullmatch(text.strip())
    try:
        if found is not None:
            return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        pass
    raise UsageError(f"{text!r} is no span of time", hint="write 90s, 15m, 2h, 3d or 1w")


def _before(now: datetime, text: str, span: timedelta) -> datetime:
    try:
        return (now - span).astimezone(UTC)
    except OverflowError:
        raise _no_moment(text) from None


def _no_moment(text: str) -> UsageError:
    return UsageError(
        f"{text!r} is no time", hint="write 90s, 15m, 2h, 3d or 1w for before now, or RFC 3339: 2026-11-23T10:10:00Z"
    )


def show_moment(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

"""Which dead letters a command means: one selector for every verb, with times resolved once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Final

from ticketops.domain import expression, fingerprint
from ticketops.domain.deadletters import DeadLetter, Narrowing
from ticketops.domain.selectors import check_range, check_text, parse_moment, show_moment
from ticketops.errors import UsageError

_MOMENTS: Final = ("since", "until", "asked_at")
_TEXTS: Final = ("reason", "group", "key", "match", "where")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterSelector:
    """Every condition must hold; one that is None or empty holds for all."""

    ids: tuple[str, ...] = ()
    reason: str | None = None
    group: str | None = None
    """The ids of groups of failures, as `dlq stats` shows them, comma-separated."""
    key: str | None = None
    """Booking, aggregate or record key."""
    since: datetime | None = None
    """failed_at, inclusive."""
    until: datetime | None = None
    """failed_at, exclusive."""
    match: str | None = None
    """Text in key, reason, error, stack or payload, in any case."""
    where: str | None = None
    """An expression; see docs/dlq.md."""
    asked_at: datetime | None = None
    """What `age` in the expression is measured against; needed where there is one."""
    limit: int | None = None
    """The first so many, over all queues."""
    everything: bool = False
    """`--all`: said on purpose that no condition is meant."""

    _ids: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())
    _groups: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", frozenset(self.ids))
        groups = (one.strip() for one in (self.group or "").lower().split(","))
        object.__setattr__(self, "_groups", frozenset(filter(None, groups)))
        for name in _TEXTS:
            check_text(name, getattr(self, name))
        for letter_id in self.ids:
            check_text("id", letter_id)
        check_range(self.since, self.until)
        if self.where is not None:
            expression.compiled(self.where)
            if self.asked_at is None:
                raise UsageError("an expression needs the time it was asked at")

    @property
    def selects(self) -> bool:
        """True where any condition is set; a limit alone is none."""
        return any((self.ids, self.since, self.until, *(getattr(self, name) is not None for name in _TEXTS)))

    def matches(self, letter: DeadLetter) -> bool:
        """True where every condition holds; `limit` is for who counts."""
        return (
            (not self.ids or letter.id in self._ids)
            and (self.reason is None or letter.reason == self.reason)
            and (self.key is None or letter.key == self.key)
            and self._in_time(letter.failed_at)
            and (self.match is None or _holds(letter, self.match))
            and (self.group is None or fingerprint.group_of(letter).id in self._groups)
            and (self.where is None or self._fulfills(letter, self.where))
        )

    def _in_time(self, failed_at: datetime | None) -> bool:
        if failed_at is None:
            return self.since is None and self.until is None
        return (self.since is None or failed_at >= self.since) and (self.until is None or failed_at < self.until)

    def _fulfills(self, letter: DeadLetter, where: str) -> bool:
        return self.asked_at is not None and expression.compiled(where).matches(letter, self.asked_at)

    def objection(self, letter: DeadLetter) -> str:
        """Why the expression cannot be computed for this item; empty where it can, or there is none."""
        if self.where is None or self.asked_at is None:
            return ""
        return expression.compiled(self.where).objection(letter, self.asked_at)

    def narrowing(self, *, bodies: bool = True) -> Narrowing:
        """What a queue may leave out; `bodies` says whether the caller looks at payload and stack itself."""
        looks = self.match is not None or self.group is not None or self.where is not None
        return Narrowing(since=self.since, until=self.until, reason=self.reason, key=self.key, bodies=bodies or looks)

    def words(self) -> dict[str, object]:
        """The conditions that are set, for the audit log and for people; ids as their number."""
        said: dict[str, object] = {
            "ids": len(self.ids) or None,
            "reason": self.reason,
            "group": self.group,
            "key": self.key,
            "since": show_moment(self.since) if self.since else None,
            "until": show_moment(self.until) if self.until else None,
            "match": self.match,
            "where": self.where,
            "limit": self.limit,
            "all": self.everything or None,
        }
        return {name: value for name, value in said.items() if value is not None}

    def dump(self) -> dict[str, object]:
        """The whole selector in JSON's own types, for `load`."""
        return {
            item.name: _plain(value)
            for item in fields(self)
            if item.init and (value := getattr(self, item.name)) not in (None, (), False)
        }

    @classmethod
    def load(cls, stored: Mapping[str, object]) -> "DeadLetterSelector":
        """What `dump` made. UsageError where it is something else."""
        known = {item.name for item in fields(cls) if item.init}
        if unknown := stored.keys() - known:
            raise UsageError("the stored selector cannot be read", why=f"unknown: {', '.join(sorted(unknown))}")
        return cls(**{name: _loaded(name, value) for name, value in stored.items()})  # type: ignore[arg-type]


def _plain(value: object) -> object:
    match value:
        case datetime():
            return show_moment(value)
        case tuple():
            return list(value)
        case _:
            return value


def _loaded(name: str, value: object) -> object:
    if name in _MOMENTS and isinstance(value, str):
        return parse_moment(value, datetime.min)  # noqa: DTZ901 - a stored time is never relative
    return tuple(map(str, value)) if isinstance(value, list) else value


def _holds(letter: DeadLetter, text: str) -> bool:
    """Text somewhere in the item, in any case; in the payload as it is stored."""
    wanted = text.casefold()
    said = (letter.key, letter.reason, letter.error_class, letter.error_message, letter.stack)
    if any(wanted in part.casefold() for part in said):
        return True
    return letter.payload is not None and wanted in letter.payload.decode(errors="replace").casefold()

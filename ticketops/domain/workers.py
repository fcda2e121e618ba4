"""A worker's own words: pauses, and what an operator sees of its group."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PauseScope(StrEnum):
    """What a pause of a group stops."""

    ALL = "all"
    TOPIC = "topic"
    SHOW = "show"
    """Of `worker bookings`."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A durable pause, in force until it is resumed."""

    scope: PauseScope
    value: str
    """The topic or show; empty for `all`."""
    by: str
    reason: str
    at: datetime


def paused_topics(pauses: tuple[Pause, ...], topics: frozenset[str]) -> frozenset[str]:
    """Those of `topics` that may not be read now."""
    if any(pause.scope is PauseScope.ALL for pause in pauses):
        return topics
    return topics & {pause.value for pause in pauses}

"""What a dead-letter queue holds, counted where it is kept: enough for a snapshot, and no letter is read for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

WINDOWS: Final[Mapping[str, float]] = {"5m": 300.0, "1h": 3600.0, "24h": 86_400.0}
"""Seconds before now in which arrivals are counted."""


class Cause(NamedTuple):
    """Why one letter is there."""

    age: float | None
    """Seconds since it died; None where nobody knows."""
    reason: str
    error_class: str
    message: str
    stack: str


@dataclass(frozen=True, slots=True)
class Holding:
    """The letters of a queue in numbers."""

    count: int = 0
    oldest_seconds: float | None = None
    arrivals: Mapping[str, int] = field(default_factory=dict)
    """By the names of WINDOWS."""
    causes: Sequence[Cause] | None = ()
    """Of every letter; None where there are more than were asked for."""

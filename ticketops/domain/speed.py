"""How fast a change is to go, in the words of the command line."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ticketops.domain.pacing import Pace
from ticketops.domain.selectors import parse_span
from ticketops.errors import UsageError

_SPANS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_TEXTS: Final = ("--rate", "--canary-wait")
_COUNTS: Final = {"--canary": 0, "--max-failures": 1, "--max-backlog": 1}
"""Option = the least that it takes."""
_FLAGS: Final = ("--force", "--from-source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What was said of speed, and of reasons to stop."""

    rate: str | None = None
    canary: int = 0
    canary_wait: str = "60s"
    max_failures: int | None = None
    max_backlog: int | None = None

    def settings(self) -> dict[str, object]:
        """The same for the operation; UsageError where it makes no sense."""
        pace = Pace(
            rate=None if self.rate is None else per_second(self.rate),
            canary=self.canary,
            canary_wait=parse_span(self.canary_wait).total_seconds(),
            max_failures=self.max_failures,
            max_backlog=self.max_backlog,
        )
        return pace.words()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """All that can be said of a requeue, beside which items it means."""

    words: tuple[str, ...] = ()
    """As they were written."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """For the operation."""
    force: bool = False
    """Go past the cap of requeues."""


def per_second(text: str) -> float:
    """Items a second from `50/s`, `600/m`, `50`. UsageError."""
    number, _, unit = text.strip().partition("/")
    try:
        rate = float(number) / _SPANS[unit or "s"]
    except (ValueError, KeyError):
        rate = 0.0
    if not 0.0 < rate < float("inf"):
        raise UsageError(f"--rate {text} is no rate", hint="write items per second, as in 50/s, or 600/m")
    return rate


def manner_of(text: str) -> Manner:
    """The options of `dlq requeue` as somebody writes them; UsageError."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError("the options cannot be read", why=str(error)) from error
    said = dict(_options(words))
    force, from_source = (bool(said.pop(name, False)) for name in _FLAGS)
    speed = Speed(**{name.removeprefix("--").replace("-", "_"): value for name, value in said.items()})  # type: ignore[arg-type]  # by the kinds above
    settings = speed.settings() | ({"from_source": True} if from_source else {})
    return Manner(words=words, settings=settings, force=force)


def _options(words: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word in _FLAGS:
            yield word, True
        elif name in _TEXTS or name in _COUNTS:
            given = value if equals else next(rest, None)
            if given is None:
                raise UsageError(f"{name} needs a value")
            yield name, _count(name, given) if name in _COUNTS else given
        else:
            known = ", ".join((*_TEXTS, *_COUNTS, *_FLAGS))
            raise UsageError(f"{word} is no option of a requeue", hint=f"there are {known}")


def _count(name: str, text: str) -> int:
    least = _COUNTS[name]
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise UsageError(f"{name} {text} is no number from {least} on")
    return int(text)

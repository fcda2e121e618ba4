"""What the relay tells of itself while it works: log lines and metrics."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from ticketops.domain.outbox import Backlog, PendingEvent
from ticketops.domain.relay import Failed, Unfinished

_SAY_AGAIN = 10.0
_REMEMBERED = 1000


class Meter(Protocol):
    """Where figures go; see services/metrics.py."""

    def published(self, events: Sequence[PendingEvent], seconds: float) -> None:
        """Events were acknowledged `seconds` after they were read."""

    def failed(self, failed: Sequence[Failed]) -> None:
        """Attempts failed."""

    def backlog(self, backlog: Backlog) -> None:
        """The backlog was measured."""

    def backend(self, backend: str, *, up: bool) -> None:
        """A backend answers, or no longer."""


class Observer:
    """Turns what happens into log lines, each once, and hands figures to the meter."""

    def __init__(self, meter: Meter, clock: Callable[[], float] = time.monotonic) -> None:
        self.meter = meter
        self._clock = clock
        self._told: dict[tuple[str, ...], tuple[float, int]] = {}
        """What was said → when, and how often it happened since."""
        self._log = structlog.get_logger("ticketops").bind(part="relay")

    def attempt_failed(self, failed: Failed, topic: str | None) -> None:
        """One event could not be published; the same of many events is said once in ten seconds, with their number."""
        event = failed.event
        like_it = self._times((failed.state.value, topic or event.aggregate_type, failed.error))
        if not like_it:
            return
        log = self._log.warning if failed.delay is not None else self._log.error
        log(
            "an event could not be published",
            event_id=event.id.hex(),
            aggregate_type=event.aggregate_type,
            aggregate_id=event.aggregate_id,
            topic=topic,
            attempt=failed.attempts,
            next_attempt_in=failed.delay,
            state=failed.state.value,
            why=failed.error,
            events_like_it=like_it,
        )

    def _times(self, what: tuple[str, ...]) -> int:
        """How often it happened since it was last said, now included; 0 where it was said just now."""
        now = self._clock()
        at, since = self._told.get(what, (float("-inf"), 0))
        if now - at < _SAY_AGAIN:
            self._told[what] = (at, since + 1)
            return 0
        if len(self._told) >= _REMEMBERED:
            self._told.clear()
        self._told[what] = (now, 0)
        return since + 1

    def took_over(self, shard: int, unfinished: Unfinished) -> None:
        """A shard came with a batch that its last owner never settled."""
        self._log.warning(
            "a relay left a batch unfinished; its events are sent again, at first one by one",
            shard=shard,
            events=len(unfinished.event_ids),
        )

    def left_unmarked(self, count: int, why: str) -> None:
        """The lane ends, and published events could not be marked."""
        self._log.warning("could not mark published events; they are sent again", events=count, why=why)

    def waiting(self, backend: str, reason: str) -> None:
        """The relay waits; said once until `arrived`."""
        self.meter.backend(backend, up=False)
        self._log.warning("waiting", backend=backend, why=reason)

    def arrived(self, backend: str, seconds: float) -> None:
        """The wait is over."""
        self.meter.backend(backend, up=True)
        self._log.info("goes on", backend=backend, waited=round(seconds, 1))

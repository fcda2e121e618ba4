"""How long the oldest record has waited for a consumer, and how long until it has caught up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from ticketops.domain.lag.samples import Sample, since_break


@dataclass(frozen=True, slots=True)
class Age:
    """Time lag of a consumer on a partition."""

    seconds: float
    exact: bool = False
    """True: from the record's own timestamp; else interpolated between looks (shown with `~`)."""
    at_least: bool = False
    """True: it is older than everything seen (shown with `>`); never extrapolated."""


def age(window: Sequence[Sample], now: datetime, record_at: datetime | None = None) -> Age | None:
    """The age of the record at the committed offset; None where there is none or it cannot be told.

    `record_at` is that record's timestamp, where it is known.
    """
    good = [sample for sample in since_break(window) if sample.lag is not None]
    if not good:
        return None
    if not good[-1].lag:
        return Age(0.0, exact=True)
    if record_at is not None:
        return Age(max((now - record_at).total_seconds(), 0.0), exact=True)
    return _interpolated(good, now)


def _interpolated(good: Sequence[Sample], now: datetime) -> Age:
    """When the log's end was where the committed offset is now."""
    committed = good[-1].committed or 0
    if good[0].end > committed:
        return Age((now - good[0].at).total_seconds(), at_least=True)
    for before, after in pairwise(good):
        if before.end <= committed < after.end:
            part = (committed - before.end) / (after.end - before.end)
            return Age(max((now - before.at - part * (after.at - before.at)).total_seconds(), 0.0))
    return Age(max((now - good[-1].at).total_seconds(), 0.0))


def drain(window: Sequence[Sample]) -> timedelta | None:
    """Time until the lag is gone at the window's rates; None where it does not fall."""
    good = [sample for sample in since_break(window) if sample.lag is not None]
    if not good or not good[-1].lag:
        return timedelta(0) if good else None
    fallen = (good[0].lag or 0) - good[-1].lag
    elapsed = (good[-1].at - good[0].at).total_seconds()
    if fallen <= 0 or elapsed <= 0:
        return None
    return timedelta(seconds=good[-1].lag * elapsed / fallen)


def rate(window: Sequence[Sample]) -> float | None:
    """Records consumed per second; None where too little was seen."""
    good = [sample for sample in since_break(window) if sample.committed is not None and not sample.error]
    elapsed = (good[-1].at - good[0].at).total_seconds() if good else 0.0
    if elapsed <= 0:
        return None
    return ((good[-1].committed or 0) - (good[0].committed or 0)) / elapsed

"""Statistics of repeated, interleaved measurements."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Sample(NamedTuple):
    """A counter, or another quantity, at a time."""

    seconds: float
    value: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of the same thing."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Sequence[float]) -> Spread:
    """Median and range; ValueError for no values."""
    return Spread(statistics.median(values), min(values), max(values), len(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def steady_rate(samples: Sequence[Sample], low: float = 0.1, high: float = 0.9) -> float:
    """Events per second between these shares of the last count: start-up and the uneven end are left out."""
    last = samples[-1].value
    first = next(sample for sample in samples if sample.value >= last * low and sample.value > 0)
    end = next(sample for sample in reversed(samples) if sample.value <= max(last * high, first.value))
    if end.seconds <= first.seconds:
        end = samples[-1]
    took = end.seconds - first.seconds
    return (end.value - first.value) / took if took > 0 else math.nan


def slope(samples: Sequence[Sample]) -> float:
    """Growth per second, by least squares; 0 for fewer than two samples."""
    if len({sample.seconds for sample in samples}) < 2:
        return 0.0
    times, values = zip(*samples, strict=True)
    return statistics.linear_regression(times, values).slope


def ratios(values: Sequence[float], peers: Sequence[float]) -> list[float]:
    """Each round's value by its own round's peer, so that what the machine did meanwhile cancels out."""
    return [value / peer for value, peer in zip(values, peers, strict=True)]

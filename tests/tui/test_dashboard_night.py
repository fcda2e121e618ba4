"""A dashboard that is left open."""

import asyncio
import tracemalloc
from datetime import timedelta
from statistics import median

import pytest

from benchmarks.dashboard_night import pass_night

KB = 1024
CACHES = 1500
"""KB that the caches of Textual and Rich, which are bounded, still take in the second half."""


def traced() -> float:
    return tracemalloc.get_traced_memory()[0] / KB


@pytest.mark.timeout(600)
def test_a_night_leaves_nothing_behind() -> None:
    """Groups come and go, sources fail, views are opened; eight minutes a snapshot, so that two hours are full soon."""
    tracemalloc.start()
    try:
        found = asyncio.run(pass_night(160, timedelta(minutes=8), traced))
    finally:
        tracemalloc.stop()
    quarter = len(found) // 4
    assert median(found[-quarter:]) - median(found[quarter : 2 * quarter]) < CACHES, found

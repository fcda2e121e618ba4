"""A booking worker's keys on the shared Redis."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from support.bookings import Bookings
from support.deadletters import RedisBox
from ticketops.options import RedisOptions


@pytest.fixture
def bookings(redis: RedisOptions, redis_prefix: str) -> Iterator[Bookings]:
    with closing(RedisBox(redis, redis_prefix)) as box:
        yield Bookings(box, redis_prefix)

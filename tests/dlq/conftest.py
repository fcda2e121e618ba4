from collections.abc import Iterator

import pytest

from support.cli import Cli
from support.deadletters import RedisBox
from support.dlq_cli import Bookings, write_config
from ticketops.options import RedisOptions


@pytest.fixture
def bookings(cli: Cli, redis: RedisOptions, redis_prefix: str) -> Iterator[Bookings]:
    """`ticketops dlq` on the booking worker's keys."""
    write_config(cli.folder, redis, redis_prefix)
    box = RedisBox(redis, redis_prefix)
    yield Bookings(cli, box)
    box.close()

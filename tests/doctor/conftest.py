from collections.abc import Iterator

import pytest

from support.cli import Cli
from support.engines import MakeTopic
from support.stories import World, make_world
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions


@pytest.fixture
def world(
    cli: Cli,
    database: PostgresOptions,
    kafka: KafkaOptions,
    redis: RedisOptions,
    redis_prefix: str,
    make_topic: MakeTopic,
) -> Iterator[World]:
    made = make_world(cli, database, kafka, redis, redis_prefix, make_topic)
    yield made
    made.clean()

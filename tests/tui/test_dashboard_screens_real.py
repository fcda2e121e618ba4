"""Every screen over real backends, as `ticketops tui` puts them together: nothing is left unread."""

import asyncio
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from support.cli import Cli
from support.dashboards import go, settled, shown
from support.deadletters import RedisBox
from support.engines import MakeTopic
from support.machines import PostgresMachineBox, booking
from support.relay import toml
from ticketops.cli import tui
from ticketops.config import Config, load
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions
from ticketops.tui.app import Dashboard
from ticketops.tui.feed import Feed
from ticketops.tui.places import PLACES
from ticketops.wiring.overview import open_overview

KEY = "810fd4ce-a99a-4b1e-b272-fd0b8470439c"
WORDS = [" ".join([*place.words, *([KEY] if place.least else [])]) for place in PLACES if "show" not in place.words]
"""All but those of one thing, which are gone to from its list."""


@pytest.fixture
def config(
    cli: Cli,
    database: PostgresOptions,
    kafka: KafkaOptions,
    redis: RedisOptions,
    redis_prefix: str,
    make_topic: MakeTopic,
) -> Config:
    topic = make_topic("payments.dlq", partitions=1)
    settings = {
        "postgres": {"url": database.url},
        "kafka": {"bootstrap_servers": kafka.bootstrap_servers},
        "redis": {"url": redis.url},
        "lag": {"history_file": str(cli.folder / "ring.sqlite3"), "groups": [topic]},
        "dlq": {
            "queues": {
                "bookings": {"kind": "redis", "prefix": redis_prefix},
                "outbox": {"kind": "outbox"},
                "payments": {"kind": "kafka", "topic": topic},
            }
        },
    }
    file = cli.folder / "dashboard.toml"
    file.write_text(toml(settings))
    return load(file=file, environ={}).config


def test_every_screen_is_read_from_real_backends(
    config: Config, database: PostgresOptions, redis: RedisOptions, redis_prefix: str
) -> None:
    with closing(RedisBox(redis, redis_prefix)) as box, closing(PostgresMachineBox(database)) as machine:
        ids = [box.die(f"BK-{number}", message="504 from pay.example") for number in range(3)]
        machine.put(replace(booking(), key=KEY, state="PENDING"), changed=7200)
        asyncio.run(_through(config, ids[0]))


async def _through(config: Config, first: str) -> None:
    overview = open_overview(config, timeout=10, remember=True, every=1)
    made: list[Feed] = []

    def feed(told: Any, failed: Any) -> Feed:
        made.append(Feed(lambda: overview, told, failed))
        return made[0]

    app = Dashboard(feed, lambda: tui.sources_of(config, 10, ()), context="test", read_only=True)
    async with app.run_test(size=(160, 40)) as pilot:
        await settled(pilot, lambda: app.snapshot is not None and "bookings" in app.snapshot.dead_letters)
        for words in WORDS:
            await go(pilot, words)
            await settled(pilot, lambda: not any(one in shown(pilot) for one in ("reading …", "no answer yet")))
            assert "not read" not in shown(pilot), words
            assert not [one for one in app._notifications if one.severity == "error"], words
        await go(pilot, "dlq bookings")
        await settled(pilot, lambda: "3 items" in shown(pilot))
        await pilot.press("enter")
        await settled(pilot, lambda: "nothing was done to it yet" in shown(pilot))
        await pilot.press("enter")
        await settled(pilot, lambda: f"dead letter {first}" in shown(pilot) and "history" in shown(pilot))
        made[0].stop()
    overview.close()

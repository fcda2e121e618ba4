"""Items of the booking worker's queue, processed by nothing, against a plain loop that loses none either."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis import Redis

from benchmarks.figures import Sample, ratios, spread, steady_rate
from benchmarks.report import Figure, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Stage
from ticketops.domain.wire.items import BookingItem, encode_item
from ticketops.domain.wire.scalars import WireTime
from ticketops.embedded.valkey import ValkeyServer

NAME = "bookings"
TITLE = "booking items/s with a processor that does nothing"
SECONDS = 600
WORKER = "worker bookings, default settings, 20 shows"
SINGLE = "worker bookings, worker.threads = 1"
LOOP = "plain loop, LMOVE to a processing list, then LREM; 1 list"
_SHOWS = 20
_PIPELINE = 1000
_EVERY = 0.02
_LOOP = """
import sys
from redis import Redis
redis = Redis.from_url(sys.argv[1])
while item := redis.lmove("loop", "loop:processing", "RIGHT", "LEFT"):
    redis.lrem("loop:processing", 1, item)
"""


def run(stage: Stage, scale: Scale) -> Report:
    """Measure the worker and the loop in turn."""
    count = scale.of(100_000, 10_000)
    found: dict[str, list[float]] = defaultdict(list)
    with ValkeyServer() as server, Redis.from_url(server.url) as redis:
        _worker(stage.folder, redis, server.url, count // 10, {})  # code and pages are warm
        for _ in range(scale.rounds):
            found[WORKER].append(_worker(stage.folder, redis, server.url, count, {}))
            found[SINGLE].append(_worker(stage.folder, redis, server.url, count, {"TICKETOPS_WORKER_THREADS": "1"}))
            found[LOOP].append(_loop(redis, server.url, count))
    worker, single, loop = found[WORKER], found[SINGLE], found[LOOP]
    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(values), "items/s") for name, values in found.items()],
        [
            Verdict("worker ÷ plain loop", spread(ratios(worker, loop))),
            Verdict("one thread ÷ plain loop", spread(ratios(single, loop))),
        ],
        [
            f"{count:,} items of 250 bytes, in one list for the loop, which neither reads nor counts them.",
        ],
        dict(found),
    )


def _items(count: int) -> Sequence[BookingItem]:
    now = datetime.now(UTC)
    return [
        BookingItem(
            id=f"item-{number}",
            event_id=f"E{number % _SHOWS}",
            user_id=f"U{number}",
            seat_numbers=("A1", "A2"),
            seat_count=2,
            total_amount=99.9,
            currency="USD",
            metadata={"channel": "web"},
            enqueued_at=WireTime.of(now),
            expires_at=WireTime.of(now + timedelta(hours=1)),
        )
        for number in range(count)
    ]


def _worker(folder: Path, redis: "Redis", url: str, count: int, settings: dict[str, str]) -> float:
    items = _items(count)
    for start in range(0, count, _PIPELINE):
        with redis.pipeline(transaction=False) as pipe:
            for number, item in enumerate(items[start : start + _PIPELINE], start):
                pipe.lpush(f"booking-queue:{item.event_id}", encode_item(item))
                pipe.sadd("booking:active-queues", item.event_id)
                pipe.hset("booking:item-event-map", item.id, item.event_id)
                pipe.zadd(f"booking-queue-positions:{item.event_id}", {item.id: number})
                pipe.zadd(f"booking-timeouts:{item.event_id}", {item.id: number})
            pipe.execute()
    chosen = {
        "TICKETOPS_REDIS_URL": url,
        "TICKETOPS_WORKER_BOOKINGS_PROCESSOR": "python",
        "TICKETOPS_WORKER_BOOKINGS_FUNCTION": "benchmarks.bookings:nothing",
        "TICKETOPS_HTTP_ENABLED": "false",
        **settings,
    }
    words = [sys.executable, "-m", "ticketops", "worker", "bookings", "--drain"]
    keys = [f"booking-queue:E{show}" for show in range(_SHOWS)]
    return _watched(folder, words, redis, keys, count, chosen)


def _loop(redis: "Redis", url: str, count: int) -> float:
    items = [encode_item(item) for item in _items(count)]
    for start in range(0, count, _PIPELINE):
        redis.lpush("loop", *items[start : start + _PIPELINE])
    return _watched(Path.cwd(), [sys.executable, "-c", _LOOP, url], redis, ["loop", "loop:processing"], count, {})


def _watched(
    folder: Path, words: Sequence[str], redis: "Redis", keys: Sequence[str], count: int, settings: dict[str, str]
) -> float:
    """Items per second, from how many are left."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {"PATH": "", "HOME": str(folder), "PYTHONPATH": path, **settings}
    process = subprocess.Popen(words, env=environment, cwd=folder, stderr=subprocess.PIPE)
    samples = [Sample(time.perf_counter(), 0)]
    while process.poll() is None:
        with redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.llen(key)
            pipe.hlen("ticketops:work:held")
            left = sum(pipe.execute())
        samples.append(Sample(time.perf_counter(), count - left))
        time.sleep(_EVERY)
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    with process.stderr as told:
        if process.returncode or samples[-1].value != count:
            raise RuntimeError(f"{samples[-1].value:.0f} of {count} items: {told.read().decode()[-2000:]}")
    return steady_rate(samples)


def nothing(_: object) -> None:
    """What the worker calls with each item."""

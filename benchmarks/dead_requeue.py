"""Requeues of the booking worker's dead letters through the port, against a pipeline of the bare script."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Final
from uuid import uuid4

from redis import Redis

from benchmarks.figures import ratios, spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Stage
from ticketops.backends.redis.bodies import fetch
from ticketops.backends.redis.calls import Deadline, Requeue
from ticketops.backends.redis.deadletters import RedisDeadLetterQueue
from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Arguments, Session, script
from ticketops.domain.deadletters import Mark, Narrowing, RequeueOrder
from ticketops.domain.wire.items import BookingItem
from ticketops.domain.wire.letters import BookingDeadLetter, encode_letter, letter_id
from ticketops.domain.wire.scalars import WireTime
from ticketops.embedded.valkey import ValkeyServer
from ticketops.options import RedisOptions

NAME = "dead-requeue"
TITLE = "items/s, the booking worker's dead letters of 650 bytes back onto 20 shows' queues, one thread"
SECONDS = 300
_SHOWS: Final = 20
_LIMIT_MS: Final = 5
SETTINGS: Final = {
    "slowlog-log-slower-than": "1000",
    "slowlog-max-len": "1000",
    "auto-aof-rewrite-percentage": "0",
}
"""Filling and emptying would set off a rewrite of the append-only file by a process of its own, on one of two cores."""
_CALL: Final = 50
"""Items in one call of the bare script, as the port has it."""
_DEPTH: Final = 10
"""Calls in one pipeline of the bare script."""

PORT = "requeue through the port"
BARE = f"the bare script, {_DEPTH} calls of {_CALL} items in a pipeline"
SCAN = "scan of what is there"
SLOW = "longest command, in the server's own log"


def run(_: Stage, scale: Scale) -> Report:
    """Fill, scan, requeue through the port; fill again, requeue by the bare script; in turn."""
    found: dict[str, list[float]] = defaultdict(list)
    count = scale.of(100_000, 10_000)
    with ValkeyServer(settings=SETTINGS) as server:
        options = RedisOptions(url=server.url)
        with Redis.from_url(server.url) as client:
            for _round in range(scale.rounds):
                _measure(client, options, count, found)
    return _report(found, count)


def _measure(client: "Redis", options: RedisOptions, count: int, found: dict[str, list[float]]) -> None:
    fill(client, count)
    client.slowlog_reset()
    with closing(RedisDeadLetterQueue(options, "bookings")) as queue:
        begun = time.perf_counter()
        marks = [letter.mark for letter in queue.scan(Narrowing())]
        found[SCAN].append(count / (time.perf_counter() - begun))
        begun = time.perf_counter()
        _requeue(queue, marks)
        found[PORT].append(count / (time.perf_counter() - begun))
    _check(client, count)
    found[SLOW].append(_longest(client))
    fill(client, count)
    found[BARE].append(count / _bare(client, options, marks_of(client)))
    _check(client, count)


def _longest(client: "Redis") -> float:
    """Milliseconds; emptying the log, which is the meter's own, stands in it too."""
    entries = client.slowlog_get(1000)
    return max((one["duration"] for one in entries if not one["command"].startswith(b"SLOWLOG")), default=0) / 1000


def fill(client: "Redis", count: int) -> None:
    """Dead letters as the worker writes them, in an empty server."""
    client.flushall()
    now = time.time()
    for start in range(0, count, 1000):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, min(start + 1000, count)):
            id_, body = _dead_letter(number, int(now) - 3600)
            pipeline.set(f"booking:dlq:{id_}", body, ex=30 * 86_400)
            pipeline.zadd("booking:dlq:items", {id_: int(now) - 3600 + number // 100})
        pipeline.execute()
    client.hset("booking:dlq:stats", mapping={"total_items": count, "service_error": count, "processed_today": count})


def _dead_letter(number: int, at: int) -> tuple[str, bytes]:
    moment = WireTime.parse("2026-11-23T10:10:54.947711642Z")
    item = BookingItem(
        id=str(uuid4()),
        event_id=f"00000000-0000-4000-8000-{number % _SHOWS:012d}",
        user_id=str(uuid4()),
        seat_numbers=("A1", "A2"),
        seat_count=2,
        total_amount=99.9,
        currency="USD",
        metadata={"source": "web"},
        enqueued_at=moment,
        expires_at=moment,
    )
    id_ = letter_id(item.id, at * 1_000_000_000 + number)
    letter = BookingDeadLetter(
        id=id_,
        original_item=item,
        reason="service_error",
        error_message="rpc error: code = Unavailable desc = connection refused",
        retry_count=3,
        failed_at=moment,
        last_attempt_at=moment,
        metadata={"event_id": item.event_id, "user_id": item.user_id},
    )
    return id_, encode_letter(letter)


def _requeue(queue: RedisDeadLetterQueue, marks: Sequence[Mark]) -> None:
    order, rest = RequeueOrder(operation=uuid4(), actor="benchmark"), iter(marks)
    while some := list(islice(rest, queue.batch)):
        queue.requeue(order, some)


def marks_of(client: "Redis") -> Iterator[str]:
    """The ids of all dead letters."""
    return (member.decode() for member, _ in client.zscan_iter("booking:dlq:items", count=1000))


def _bare(client: "Redis", options: RedisOptions, ids: Iterator[str]) -> float:
    """Seconds that server and driver take for the script alone: its arguments are made before the clock runs."""
    calls = _calls(options, list(ids))
    client.script_load(script("requeue").text)
    sha, rest = script("requeue").sha, iter(calls)
    begun = time.perf_counter()
    while some := list(islice(rest, _DEPTH)):
        pipeline = client.pipeline(transaction=False)
        for keys, arguments in some:
            pipeline.evalsha(sha, len(keys), *keys, *arguments)
        pipeline.execute()
    return time.perf_counter() - begun


def _calls(options: RedisOptions, ids: Sequence[str]) -> list[tuple[Sequence[str], Arguments]]:
    keys, calls = Keys(options.queue), list[tuple[Sequence[str], Arguments]]()
    with closing(Session(options)) as session:
        change = Requeue(keys, options.queue, uuid4(), Deadline.after(session.now(), options.queue.expiry))
        for start in range(0, len(ids), _CALL):
            found = list(fetch(session, keys, ids[start : start + _CALL]))
            calls.append(change.call([Mark(one.id) for one in found], found, start))
    return calls


def _check(client: "Redis", count: int) -> None:
    waiting = sum(client.llen(key) for key in client.scan_iter(match="booking-queue:*", count=1000))
    if waiting != count or client.zcard("booking:dlq:items"):
        raise RuntimeError(f"{count} items were to be put back, {waiting} were")


def _report(found: dict[str, list[float]], count: int) -> Report:
    return Report(
        NAME,
        TITLE,
        [Figure(name, spread(found[name]), "items/s") for name in (PORT, BARE, SCAN)],
        [
            Verdict("requeue through the port", spread(found[PORT]), "items/s", Goal(20_000)),
            Verdict("port ÷ bare script", spread(ratios(found[PORT], found[BARE]))),
            Verdict(SLOW, spread(found[SLOW]), "ms", Goal(_LIMIT_MS, at_least=False)),
        ],
        [
            f"{count:,} items a measurement; Valkey with appendonly on, no rewrite of it under way; on one machine.",
            "The bare script has its arguments ready-made; the port reads, checks and rewrites each body as well.",
        ],
        dict(found),
    )

"""`dlq stats` on the booking worker's dead letters."""

import json
import time

import pytest

from support.dlq_cli import Bookings, write_config
from ticketops.cli.exits import ExitCode
from ticketops.options import RedisOptions


def stats(bookings: Bookings, *words: object) -> dict[str, object]:
    done = bookings("stats", *words, "-o", "json")
    assert done.code == 0, done.err
    (queue,) = done.json["queues"]
    found: dict[str, object] = queue
    return found


def test_failures_of_one_cause_are_one_row(bookings: Bookings) -> None:
    for number in range(4):
        bookings.box.die("E1", reason="timeout", message=f"no answer for 4{number} after {number}00ms", age=60 * number)
    bookings.box.die("E1", reason="invalid_data", message="no seat 'A7'", age=7000)
    found = stats(bookings)
    assert found["depth"] == found["selected"] == 5
    assert found["reasons"] == [
        {"reason": "timeout", "count": 4, "percent": 80}, {"reason": "invalid_data", "count": 1, "percent": 20},
    ]  # fmt: skip
    groups = found["groups"]
    assert isinstance(groups, list)
    assert [(group["label"], group["count"]) for group in groups] == [
        ("no answer for <n> after <n>ms", 4), ("no seat <value>", 1),
    ]  # fmt: skip
    assert len(bookings.ids("--group", groups[0]["group"])) == 4
    assert bookings.ids(groups[1]["example"])


def test_ages_arrivals_and_trend(bookings: Bookings) -> None:
    for age in (10, 20, 30, 3000, 80_000, 900_000):
        bookings.box.die("E1", age=age)
    found = stats(bookings)
    assert found["arrivals"] == {"5m": 3, "1h": 4, "24h": 5}
    assert found["trend"] == "rising"
    assert 900_000 <= float(str(found["oldest_seconds"])) < 900_300
    assert 9 <= float(str(found["newest_seconds"])) < 300


def test_counts_are_of_what_is_there(bookings: Bookings) -> None:
    gone = bookings.box.die("E1")
    bookings.box.die("E1")
    bookings.box.lose_body(gone)
    bookings.box.worker.redis.hset(bookings.box.worker.key("booking:dlq:stats"), "total_items", 999)
    found = stats(bookings)
    assert found["depth"] == 2
    assert found["missing"] == 1
    assert found["unreadable"] == 0


def test_a_selector_narrows_the_groups_and_not_the_depth(bookings: Bookings) -> None:
    bookings.box.die("E1", reason="timeout")
    bookings.box.die("E1", reason="unknown")
    found = stats(bookings, "--reason", "timeout")
    assert (found["depth"], found["selected"]) == (2, 1)
    assert [item["reason"] for item in found["reasons"]] == ["timeout"]  # type: ignore[attr-defined]


def test_depths_alone_read_nothing(bookings: Bookings) -> None:
    bookings.box.die("E1", age=60)
    found = stats(bookings, "--depths")
    assert found["depth"] == 1
    assert found["groups"] is found["reasons"] is found["oldest_at"] is None
    assert found["newest_at"]


def test_an_empty_queue(bookings: Bookings) -> None:
    found = stats(bookings)
    assert found["depth"] == 0
    assert found["groups"] == []
    assert found["trend"] == "quiet"
    assert found["arrivals"] == {"5m": 0, "1h": 0, "24h": 0}
    assert bookings("stats").out.startswith("queues\tbookings\t0\t")


def test_people_get_three_tables(bookings: Bookings) -> None:
    bookings.box.die("E1", reason="timeout", message="no answer 5")
    done = bookings.cli.terminal("dlq", "stats", columns=120)
    assert done.code == 0
    for word in ("queues", "DEPTH", "reasons", "timeout", "groups", "FAILURE", "no answer <n>"):
        assert word in done.out
    titles = [line.split("\t")[0] for line in bookings("stats").out.splitlines()]
    assert titles == ["queues", "reasons", "groups (dlq list --group ID)"]


@pytest.mark.parametrize("words", [("--limit", "5"), ("--depths", "--reason", "x")])
def test_what_does_not_go_together(bookings: Bookings, words: tuple[str, ...]) -> None:
    assert bookings("stats", *words).code == ExitCode.USAGE


def test_watching_in_a_pipe_writes_again_and_again(bookings: Bookings) -> None:
    process = bookings.cli.start("dlq", "stats", "--watch", "0.2", "-o", "jsonl")
    assert process.stdout is not None
    try:
        seen = [json.loads(process.stdout.readline())["queues"][0]["depth"]]
        bookings.box.die("E1")
        deadline = time.monotonic() + 30
        while seen[-1] != 1 and time.monotonic() < deadline:
            seen.append(json.loads(process.stdout.readline())["queues"][0]["depth"])
        assert (seen[0], seen[-1]) == (0, 1)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_redis_that_is_down_is_told_quickly(bookings: Bookings, redis_prefix: str) -> None:
    write_config(bookings.cli.folder, RedisOptions(url="redis://127.0.0.1:9/0"), redis_prefix)
    done = bookings("stats")
    assert done.code == ExitCode.UNREACHABLE
    assert "queue bookings: " in done.err
    assert done.out.startswith("queues\tbookings\t")

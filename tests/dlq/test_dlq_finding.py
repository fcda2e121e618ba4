"""`dlq list`, and the selector that all verbs share, on the booking worker's dead letters."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from support.dlq_cli import Bookings, write_config
from ticketops.cli.exits import ExitCode
from ticketops.domain.fingerprint import masked
from ticketops.options import RedisOptions

HOSTILE = "\x1b[31mred\x1b[0m [bold]x[/bold] [/v2/capture]\r\n\x07 \u202eevil 日本 \U0001f600"


def test_a_list_has_every_field_and_the_oldest_first(bookings: Bookings) -> None:
    young = bookings.box.die("E1", reason="timeout", message="Read timed out", age=60)
    old = bookings.box.die("E2", age=7200)
    rows = bookings.rows()
    assert [row["id"] for row in rows] == [old, young]
    row = rows[1]
    assert row["queue"] == "bookings"
    assert row["queue_kind"] == "redis"
    assert row["reason"] == "timeout"
    assert row["error"] == "Read timed out"
    assert row["attempts"] == 3
    assert row["requeues"] == 0
    assert row["body"] == "present"
    assert row["payload_bytes"]
    assert 59 < float(str(row["age_seconds"])) < 120
    assert str(row["failed_at"]).endswith("Z")


def test_every_format_writes_the_same_items(bookings: Bookings) -> None:
    ids = {bookings.box.die(f"E{number}") for number in range(3)}
    assert set(bookings("list", "-o", "name").out.split()) == ids
    assert {json.loads(line)["id"] for line in bookings("list", "-o", "jsonl").out.splitlines()} == ids
    assert {line.split("\t")[0] for line in bookings("list").out.splitlines()} == ids
    assert len(bookings("list", "-o", "csv").out.splitlines()) == 4
    for form in ("wide", "yaml"):
        assert all(letter_id in bookings("list", "-o", form).out for letter_id in ids)


def test_what_narrows_a_list(bookings: Bookings) -> None:
    box = bookings.box
    slow = box.die("E1", reason="timeout", message="Read timed out after 3000 ms", age=60)
    slower = box.die("E2", reason="timeout", message="Read timed out after 9000 ms", age=7200)
    other = box.die("E3", reason="invalid_data", message="no seat A7", age=3600)
    group = next(row["group"] for row in bookings.rows() if row["id"] == slow)
    hour_ago = (datetime.now(UTC) - timedelta(seconds=3000)).isoformat()
    assert bookings.ids("--reason", "timeout") == [slower, slow]
    assert bookings.ids("--group", group) == [slower, slow]
    assert bookings.ids("--since", "10m") == [slow]
    assert bookings.ids("--until", "10m") == [slower, other]
    assert bookings.ids("--older-than", hour_ago) == [slower, other]
    assert bookings.ids("--match", "TIMED OUT") == [slower, slow]
    assert bookings.ids("--match", "seat a7") == [other]
    assert bookings.ids("--where", "payload.EventID == 'E3' && age > 60") == [other]
    assert bookings.ids("--where", "payload.Nowhere == 1") == []
    assert bookings.ids("--reason", "timeout", "--where", "payload.SeatCount == 2", "--since", "1h") == [slow]
    assert bookings.ids("--limit", "1") == [slower]
    assert bookings.ids(slow, other) == [slow, other]
    key = next(row["key"] for row in bookings.rows() if row["id"] == other)
    assert bookings.ids("--key", key) == [other]


def test_ids_come_from_stdin(bookings: Bookings) -> None:
    ids = [bookings.box.die("E1", age=number) for number in range(3)]
    chosen = [ids[2], ids[0]]
    assert bookings("list", "-", "-o", "name", text="\n".join(chosen)).out.split() == chosen
    done = bookings("list", "-", text="")
    assert done.code == ExitCode.USAGE
    assert "ticketops dlq list -o name | …" in done.err


def test_relative_times_are_told_as_they_were_resolved(bookings: Bookings) -> None:
    done = bookings("list", "--since", "1h", "--older-than", "5m")
    assert done.code == 0
    assert [line.split()[0] for line in done.err.splitlines()] == ["since", "until"]


def test_a_list_stops_at_fifty_and_says_so(bookings: Bookings) -> None:
    for number in range(53):
        bookings.box.die("E1", age=number)
    done = bookings("list", "-o", "name")
    assert len(done.out.splitlines()) == 50
    assert "more than 50" in done.err
    assert len(bookings("list", "--all", "-o", "name").out.splitlines()) == 53
    assert len(bookings.ids("--limit", "52")) == 52


def test_an_id_that_is_nowhere_is_told(bookings: Bookings) -> None:
    there = bookings.box.die("E1")
    done = bookings("list", there, "dlq:none:1", "-o", "name")
    assert (done.code, done.out) == (ExitCode.NOT_FOUND, f"{there}\n")
    assert "there is no dead letter dlq:none:1" in done.err


def test_a_queue_where_an_id_belongs_is_told(bookings: Bookings) -> None:
    done = bookings("list", "bookings")
    assert (done.code, "--queue bookings" in done.err) == (ExitCode.NOT_FOUND, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--where", "reason = 1"), "       reason = 1\n              ^\n"),
        (("--where", "resaon == 'x'"), "did you mean reason?"),
        (("--since", "soon"), "'soon' is no time"),
        (("--until", "1h", "--older-than", "1h"), "exclude each other"),
        (("--since", "1h", "--until", "2h"), "the time range is empty"),
        (("--limit", "0"), "--limit"),
    ],
)
def test_a_selector_that_makes_no_sense_is_refused(bookings: Bookings, words: tuple[str, ...], said: str) -> None:
    done = bookings("list", *words)
    assert done.code == ExitCode.USAGE
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_queue_that_is_not_configured(bookings: Bookings) -> None:
    done = bookings("list", "--queue", "booking")
    assert done.code == ExitCode.NOT_FOUND
    assert "did you mean bookings?" in done.err


def test_a_condition_that_cannot_be_computed_is_told(bookings: Bookings) -> None:
    bookings.box.die("E1")
    done = bookings("list", "--where", "payload.EventID > 5")
    assert (done.code, done.out) == (0, "")
    assert "could not be computed for 1 of 1 items" in done.err


def test_bodies_that_expired_or_cannot_be_read_are_items_too(bookings: Bookings) -> None:
    gone, broken, fine = (bookings.box.die("E1", age=age) for age in (30, 20, 10))
    bookings.box.lose_body(gone)
    bookings.box.spoil(broken)
    rows = {row["id"]: row for row in bookings.rows()}
    assert {letter_id: row["body"] for letter_id, row in rows.items()} == {
        gone: "missing", broken: "unreadable", fine: "present",
    }  # fmt: skip
    assert all(rows[letter_id]["problem"] for letter_id in (gone, broken))
    assert bookings.ids("--where", "body != 'present'") == [gone, broken]
    for words in (("show", gone), ("show", broken), ("stats",)):
        assert bookings(*words).code == 0


def test_hostile_text_is_harmless_in_every_format(bookings: Bookings) -> None:
    letter_id = bookings.box.die("E1", message=HOSTILE, reason="\x1b]0;t\x07")
    for form in ("table", "wide", "json", "jsonl", "yaml"):
        for words in (("list",), ("show", letter_id), ("stats",)):
            done = bookings(*words, "-o", form)
            assert done.code == 0, done.err
            assert not {"\x1b", "\x07", "\r", "\u202e"} & set(done.out), (form, words)
    for words in (("show", letter_id), ("list", "-o", "wide"), ("list", "-o", "csv")):
        shown = bookings.cli.terminal("dlq", *words, columns=200, env={"NO_COLOR": "1"}).out
        assert "[31m" not in shown.replace("␛[31m", "")
        assert "\u202e" not in shown
    assert bookings.rows()[0]["error"] == HOSTILE
    assert masked(HOSTILE)


def test_a_queue_whose_backend_is_down_is_told_and_the_others_go_on(
    bookings: Bookings, redis: RedisOptions, redis_prefix: str
) -> None:
    write_config(
        bookings.cli.folder, redis, redis_prefix,
        '[dlq.queues.topic]\nkind = "kafka"\ntopic = "x.dlq"\n[kafka]\nbootstrap_servers = "127.0.0.1:9"\n',
    )  # fmt: skip
    letter_id = bookings.box.die("E1")
    done = bookings("list", "-o", "name", "--timeout", "5")
    assert (done.code, done.out) == (ExitCode.UNREACHABLE, f"{letter_id}\n")
    assert "queue topic: " in done.err
    done = bookings("stats", "-o", "json", "--timeout", "5")
    assert done.code == ExitCode.UNREACHABLE
    found = {queue["queue"]: queue for queue in done.json["queues"]}
    assert found["bookings"]["depth"] == 1
    assert found["topic"]["depth"] is None
    assert "unreachable" in found["topic"]["problem"]


def test_names_of_queues_are_completed(bookings: Bookings) -> None:
    env = {"_TICKETOPS_COMPLETE": "complete_bash", "COMP_WORDS": "ticketops dlq list --queue bo", "COMP_CWORD": "4"}
    done = bookings.cli(env=env)
    assert done.out.split() == ["bookings"]

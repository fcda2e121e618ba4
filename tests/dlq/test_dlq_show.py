"""`dlq show` on the booking worker's dead letters."""

import json
import re
import subprocess

import pytest

from support.dlq_cli import Bookings
from ticketops.cli.exits import ExitCode
from ticketops.domain.json_pretty import pretty


def test_one_dead_letter_with_everything(bookings: Bookings) -> None:
    letter_id = bookings.box.die("E7", reason="timeout", message="Read timed out")
    done = bookings("show", letter_id, "-o", "json")
    assert done.code == 0
    shown = done.json
    assert (shown["kind"], shown["queue"], shown["reason"]) == ("dead_letter_detail", "bookings", "timeout")
    assert json.loads(shown["payload"])["EventID"] == "E7"
    assert shown["payload_base64"] is None
    assert shown["metadata"]["event_id"] == "E7"
    assert shown["history"] == shown["edits"] == shown["headers"] == []
    assert shown["hold"] is shown["archived"] is shown["history_problem"] is None
    assert shown["digest"]


def test_people_get_the_payload_laid_out_with_its_own_tokens(bookings: Bookings) -> None:
    item = bookings.box.worker.item("E1", total_amount=100000000000000000000.0)
    letter_id = bookings.box.worker.dead_letter(item)
    done = bookings("show", letter_id)
    assert 'payload\t  "Metadata": {\n' in done.out
    assert '"TotalAmount": 100000000000000000000,' in done.out
    assert r'"k": "\u003ca\u0026b\u003e"' in done.out
    assert "dead letter\tid\t" in done.out


def test_raw_writes_the_bytes_and_nothing_else(bookings: Bookings) -> None:
    letter_id = bookings.box.die("E1")
    payload = bookings("show", letter_id, "-o", "json").json["payload"]
    done = subprocess.run(
        bookings.cli.command(["dlq", "show", letter_id, "--raw"]), cwd=bookings.cli.folder, check=True,
        env=bookings.cli.environment(None), capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == payload.encode()
    assert done.stdout[:6] == b'{"ID":'


def test_raw_does_not_go_to_a_terminal(bookings: Bookings) -> None:
    letter_id = bookings.box.die("E1")
    done = bookings.cli.terminal("dlq", "show", letter_id, "--raw")
    assert done.code == ExitCode.REFUSED
    assert "send it to a file" in done.out


def test_what_is_not_there_is_told(bookings: Bookings) -> None:
    done = bookings("show", "dlq:none:1")
    assert done.code == ExitCode.NOT_FOUND
    assert "neither in bookings nor in the archive" in done.err
    gone = bookings.box.die("E1")
    bookings.box.lose_body(gone)
    assert bookings("show", gone, "--raw").code == ExitCode.NOT_FOUND


def test_what_was_done_to_it_is_its_history(bookings: Bookings) -> None:
    letter_id = bookings.box.die("E1")
    assert bookings("hold", letter_id, "--note", "ask the \x1b[1mprovider", "--yes").code == 0
    shown = bookings("show", letter_id, "-o", "json").json
    assert shown["hold"]["note"] == "ask the \x1b[1mprovider"
    assert shown["history"]
    text = bookings("show", letter_id).out
    assert "held\tby " in text
    assert "\x1b" not in text
    assert bookings("release", letter_id, "--yes").code == 0
    assert bookings("discard", letter_id, "--yes", "--reason-text", "a test").code == 0
    done = bookings("show", letter_id, "-o", "json")
    assert done.code == 0
    assert "ticketops dlq restore" in done.err
    assert done.json["archived"]["reason"] == "a test"
    assert len(done.json["history"]) >= 2


def test_a_huge_payload_is_cut_for_people_and_whole_for_machines(bookings: Bookings) -> None:
    item = bookings.box.worker.item("E1", metadata={"k": "x" * 300_000})
    letter_id = bookings.box.worker.dead_letter(item)
    assert re.search(r"… \d+ more bytes; --raw writes all \d+", bookings("show", letter_id).out)
    assert len(bookings("show", letter_id, "-o", "json").json["payload"]) > 300_000


@pytest.mark.parametrize(
    ("text", "laid_out"),
    [
        ('{"a":1.50,"a":[],"b":[1,{}]}', '{\n  "a": 1.50,\n  "a": [],\n  "b": [\n    1,\n    {}\n  ]\n}'),
        ('"a{[:,"', '"a{[:,"'),
        (" 1e400 ", "1e400"),
        (r'["\u003c\"\\"]', '[\n  "\\u003c\\"\\\\"\n]'),
    ],
)  # fmt: skip
def test_json_keeps_its_tokens(text: str, laid_out: str) -> None:
    assert pretty(text) == laid_out


@pytest.mark.parametrize("text", ["", "{", "[1,]", "[" * 200 + "]" * 200, "[" * 100_000, "nothing", '{"a":}'])
def test_what_is_no_json_is_left_as_it_is(text: str) -> None:
    assert pretty(text) is None

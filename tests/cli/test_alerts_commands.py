"""`ticketops alerts` as operators and pagers have it: exit codes, targets, silences, and the one evaluator of two."""

import json
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from support.cli import Cli
from support.waiting import eventually
from ticketops.options import KafkaOptions, PostgresOptions, RedisOptions

NOWHERE = "127.0.0.1:1"
FIRING = '[alerts.rules.no-relay]\nwhen = "relay.live == 0"\nseverity = "critical"\nmessage = "nobody relays"\n'
CALM = '[alerts.rules.calm]\nwhen = "outbox.pending > 1000"\n'


class Pager:
    """A webhook that keeps what it is sent."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.status = 200
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                pager.titles.append(body["title"])
                self.send_response(pager.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
                """Not on the tests' stderr."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def pager() -> Iterator[Pager]:
    made = Pager()
    threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def alerts(cli: Cli, database: PostgresOptions, kafka: KafkaOptions, redis: RedisOptions, pager: Pager) -> Cli:
    configure(cli, database.url, kafka.bootstrap_servers, redis.url, pager)
    return cli


def configure(cli: Cli, postgres: str, kafka: str, redis: str, pager: Pager, rules: str = FIRING + CALM) -> None:
    text = f"""
[status]
timeout = 20
[postgres]
url = "{postgres}"
[kafka]
bootstrap_servers = "{kafka}"
[redis]
url = "{redis}"
[lag]
groups = ["no-such-group"]
history_file = "history.sqlite3"
[http]
port = 0
[alerts]
interval = 1
[alerts.targets.ops]
url = "{pager.url}"
{rules}"""
    (cli.folder / "ticketops.toml").write_text(text)


def test_check_lists_what_holds_and_tells_nobody(alerts: Cli, pager: Pager) -> None:
    done = alerts.here("alerts", "check", "-o", "json")
    assert done.code == 8, done.err
    assert [(item["rule"], item["subject"], item["message"]) for item in done.json["items"]] == [
        ("no-relay", "relay", "nobody relays")
    ]
    assert alerts.here("alerts", "check", "--set", "alerts.rules.no-relay.enabled=false").code == 0
    assert pager.titles == []


def test_check_without_an_answer_is_not_all_is_well(
    alerts: Cli, kafka: KafkaOptions, redis: RedisOptions, pager: Pager
) -> None:
    configure(alerts, f"postgresql://{NOWHERE}/x", kafka.bootstrap_servers, redis.url, pager)
    done = alerts.here("alerts", "check")
    assert done.code == 7, done.err
    assert "not known: outbox" in done.err


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_rule_that_is_none_is_shown_with_its_place(alerts: Cli, verb: str) -> None:
    done = alerts("alerts", verb, "--set", "alerts.rules.calm.when=outbox.pending >")
    assert done.code == 2, done.err
    assert "alert rule calm cannot be understood" in done.err
    assert "line 1, column" in done.err


def test_targets_are_tried_and_told_apart(alerts: Cli, pager: Pager) -> None:
    assert alerts.here("alerts", "test", "ops").code == 0
    assert pager.titles == ["[INFO] test: ticketops"]
    assert alerts.here("alerts", "test", "nobody").code == 5
    pager.status = 500
    done = alerts.here("alerts", "test", "-o", "json")
    assert done.code == 1
    assert "did not take the message" in done.json["items"][0]["error"]
    assert pager.url not in done.out + done.err


def test_a_silence_is_made_listed_and_ended(alerts: Cli) -> None:
    words = ("alerts", "silence", "no-relay", "--for", "2h", "--reason-text", "we know")
    assert alerts.here(*words).code == 6
    assert alerts.here("alerts", "silence", "no-such-rule", "--for", "2h", "--yes").code == 5
    made = alerts.here(*words, "--yes", "-o", "json")
    assert made.code == 0, made.err
    listed = alerts.here("alerts", "list", "-o", "json").json
    assert [(one["rule"], one["reason"], round(one["left_seconds"] / 3600)) for one in listed["silences"]] == [
        ("no-relay", "we know", 2)
    ]
    number = listed["silences"][0]["id"]
    assert alerts.here("alerts", "unsilence", number, "--yes").code == 0
    assert alerts.here("alerts", "unsilence", number, "--yes").code == 5
    assert alerts.here("alerts", "list", "-o", "json").json["silences"] == []


def test_who_may_only_read_silences_nothing(alerts: Cli) -> None:
    done = alerts.here("--set", "read_only=true", "alerts", "silence", "no-relay", "--for", "2h", "--yes")
    assert done.code == 4, done.err


def events(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    assert process.stderr is not None
    for line in process.stderr:
        yield json.loads(line)


def until(process: "subprocess.Popen[str]", event: str) -> dict[str, Any]:
    return next(one for one in events(process) if one["event"] == event)


def test_of_two_processes_one_tells_and_the_other_takes_over(alerts: Cli, pager: Pager) -> None:
    first = alerts.start("alerts", "run")
    try:
        address = until(first, "answers /livez, /readyz and /metrics")["address"]
        until(first, "evaluates")
        eventually(lambda: pager.titles == ["[CRITICAL] no-relay: relay"])
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=20) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=20) as answer:
            assert b"ticketops_relays 0.0" in answer.read()
        second = alerts.start("alerts", "run")
        try:
            until(second, "stands by")
            first.kill()
            until(second, "evaluates")
            listed = alerts.here("alerts", "list", "-o", "json")
            assert listed.code == 8
            assert [(one["rule"], one["phase"]) for one in listed.json["alerts"]] == [("no-relay", "firing")]
            second.send_signal(signal.SIGTERM)
            (stopping,) = [one for one in events(second) if one["event"].startswith("stopping")]
            assert stopping["timestamp"].endswith("Z")
            assert second.wait(60) == 0
        finally:
            second.kill()
            second.communicate(timeout=60)
    finally:
        first.kill()
        first.communicate(timeout=60)
    assert pager.titles == ["[CRITICAL] no-relay: relay"], "it was told once, though another took over"

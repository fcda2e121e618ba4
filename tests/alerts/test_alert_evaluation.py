"""Rules are evaluated by one process, and messages reach their targets, or it is told that they do not."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.snapshots import LETTERS, NOW, STATES, everything, group, said
from ticketops.backends.notify.targets import open_target
from ticketops.backends.store.alerts import SqlAlertStore
from ticketops.backends.store.sqlite import SqlitePlace
from ticketops.domain.alerts.lifecycle import Message, Phase
from ticketops.domain.lag.verdicts import Verdict
from ticketops.domain.overview.snapshot import Reading, Snapshot
from ticketops.errors import BackendUnavailable, ConfigError, ExpressionError
from ticketops.options import AlertsOptions, RuleOptions, TargetOptions
from ticketops.services.alerts.delivery import Delivery
from ticketops.services.alerts.evaluator import Evaluator

OPTIONS = AlertsOptions(
    rules={"deep": RuleOptions(when="dlq.depth > 100", message="{depth} in {queue}")},
    targets={"ops": TargetOptions(url="json://127.0.0.1")},
    delivery_timeout=10.0,
)
PARCELS = replace(STATES, machine="parcel")
DEEP = everything(dead_letters={"bookings": said(replace(LETTERS, depth=101))})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlAlertStore]:
    with closing(SqlAlertStore(SqlitePlace(tmp_path / "operations.sqlite3"))) as made:
        yield made


class Kept:
    """A target that keeps what it is sent, or fails."""

    def __init__(self, fail: Callable[[], object] = lambda: None) -> None:
        self.messages: list[Message] = []
        self.fail = fail

    def send(self, message: Message, timeout: float) -> None:
        assert timeout > 0
        self.fail()
        self.messages.append(message)


def delivery(store: SqlAlertStore, target: Kept, **changes: Any) -> Delivery:
    return Delivery(store, {"ops": target}, replace(OPTIONS, **changes), lambda: 0.0)


def look(store: SqlAlertStore, *snapshots: Snapshot, owner: str = "a", options: AlertsOptions = OPTIONS) -> list[bool]:
    evaluator = Evaluator(store, options, owner)
    return [evaluator.evaluate(snapshot) for snapshot in snapshots]


def test_an_alert_is_told_once_and_resolved_once(store: SqlAlertStore) -> None:
    target = Kept()
    look(store, DEEP, DEEP, everything(), everything())
    assert delivery(store, target).deliver() == (2, 0)
    assert [(m.notice, m.text) for m in target.messages] == [
        ("fired", "101 in bookings"),
        ("resolved", "101 in bookings"),
    ]
    assert store.alerts()[0].phase is Phase.RESOLVED


def test_of_two_processes_one_evaluates(store: SqlAlertStore) -> None:
    assert look(store, DEEP, owner="a") == [True]
    assert look(store, DEEP, owner="b") == [False]


def test_a_source_that_does_not_answer_resolves_nothing(store: SqlAlertStore) -> None:
    look(store, DEEP, everything(dead_letters={"bookings": Reading(asked_at=NOW, error="gone")}))
    assert [alert.phase for alert in store.alerts()] == [Phase.FIRING]


def told(store: SqlAlertStore) -> list[tuple[str, str]]:
    target = Kept()
    delivery(store, target).deliver()
    return [(message.notice.value, message.subject) for message in target.messages]


def test_a_rule_that_was_removed_resolves_its_alerts(store: SqlAlertStore) -> None:
    look(store, DEEP)
    look(store, DEEP, options=replace(OPTIONS, rules={}))
    assert [alert.phase for alert in store.alerts()] == [Phase.RESOLVED]
    assert told(store) == [("fired", "bookings"), ("resolved", "bookings")]


def test_a_subject_that_is_gone_is_resolved_and_one_that_was_only_pending_is_forgotten(store: SqlAlertStore) -> None:
    rules = {"slow": replace(OPTIONS.rules["deep"], for_seconds=600.0), "deep": OPTIONS.rules["deep"]}
    options = replace(OPTIONS, rules=rules)
    look(store, DEEP, everything(dead_letters={}), everything(dead_letters={}), options=options)
    assert [(alert.rule, alert.phase) for alert in store.alerts()] == [("deep", Phase.RESOLVED)]
    assert told(store) == [("fired", "bookings"), ("resolved", "bookings")]


def lags(*groups: tuple[str, Verdict]) -> Snapshot:
    return everything(lag=said(tuple(replace(group(verdict, 9), group=name) for name, verdict in groups)))


def test_a_group_that_is_gone_is_resolved_though_another_does_not_answer(store: SqlAlertStore) -> None:
    options = replace(OPTIONS, rules={"stopped": RuleOptions(when="lag.verdict == STOP")})
    stopped = lags(("gone", Verdict.STOP), ("silent", Verdict.STOP))
    silent = everything(lag=Reading(asked_at=NOW, error="timed out"))
    look(store, stopped, silent, options=options)
    assert {alert.phase for alert in store.alerts()} == {Phase.FIRING}
    look(store, lags(("silent", Verdict.UNKN)), options=options)
    assert {alert.subject: alert.phase for alert in store.alerts()} == {"gone": Phase.RESOLVED, "silent": Phase.FIRING}


def test_a_machine_that_does_not_answer_keeps_the_alerts_of_its_states(store: SqlAlertStore) -> None:
    options = replace(OPTIONS, rules={"stuck": RuleOptions(when="state.stuck > 0")})
    stuck = everything(states={"booking": said(replace(STATES, stuck={"PAYMENT_PENDING": 1}))})
    lost = everything(states={"booking": Reading(asked_at=NOW, error="timed out"), "parcel": said(PARCELS)})
    look(store, stuck, lost, options=options)
    assert [alert.phase for alert in store.alerts()] == [Phase.FIRING]


def test_a_rule_that_is_none_is_refused_at_the_start(store: SqlAlertStore) -> None:
    with pytest.raises(ExpressionError):
        Evaluator(store, replace(OPTIONS, rules={"bad": RuleOptions(when="dlq.depth >")}), "a")


def test_what_did_not_arrive_is_tried_again_and_told(store: SqlAlertStore) -> None:
    look(store, DEEP)

    def refuse() -> None:
        raise BackendUnavailable("Slack", why="504")

    assert delivery(store, Kept(refuse)).deliver() == (0, 1)
    assert "504" in store.figures().last_error
    assert delivery(store, Kept()).deliver() == (0, 0), "not due yet"
    assert delivery(store, Kept(refuse), attempts=2).deliver() == (0, 0)


def test_a_target_that_hangs_holds_nobody_up(store: SqlAlertStore) -> None:
    look(store, DEEP)
    free = threading.Event()
    try:
        hanging = delivery(store, Kept(partial(free.wait, 60)), delivery_timeout=0.5)
        assert hanging.deliver() == (0, 1)
        assert "no answer within" in store.figures().last_error
    finally:
        free.set()


def test_a_target_that_is_slow_to_fail_holds_up_no_evaluation(store: SqlAlertStore) -> None:
    queues = {name: said(replace(LETTERS, queue=name, depth=101)) for name in "abcde"}
    look(store, everything(dead_letters=queues))
    now = [0.0]

    def fail() -> None:
        now[0] += 9.0
        raise BackendUnavailable("the pager", why="no")

    slow = Delivery(store, {"ops": Kept(fail)}, replace(OPTIONS, interval=15.0), lambda: 0.0, monotonic=lambda: now[0])
    assert slow.deliver() == (0, 2)
    fine = Kept()
    assert delivery(store, fine).deliver() == (3, 0), "the others stayed due"


def test_what_nobody_expected_is_told_without_its_text(store: SqlAlertStore) -> None:
    look(store, DEEP)

    def leak() -> None:
        raise ValueError("cannot reach slack://s3cret-token")

    assert delivery(store, Kept(leak)).deliver() == (0, 1)
    assert store.figures().last_error == "ValueError"


def test_a_target_that_nobody_knows_is_given_up(store: SqlAlertStore) -> None:
    look(store, DEEP)
    assert Delivery(store, {}, OPTIONS, lambda: 0.0).deliver() == (0, 1)
    assert "no such target" in store.figures().last_error


class _Web(BaseHTTPRequestHandler):
    seen: list[tuple[str, Any]]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, json.loads(body)))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
        """Not on the tests' stderr."""


@pytest.fixture
def web() -> Iterator[tuple[str, type[_Web]]]:
    handler = type("Handler", (_Web,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


def queued(store: SqlAlertStore) -> Message:
    look(store, DEEP)
    return store.waiting(store.now(), 1)[0]


def test_apprise_takes_the_message_along(store: SqlAlertStore, web: tuple[str, type[_Web]]) -> None:
    address, handler = web
    open_target("ops", f"json://{address}/hook", timedelta(0)).send(queued(store), 5)
    [(path, body)] = handler.seen
    assert path == "/hook"
    assert body["title"] == "[WARNING] deep: bookings"
    assert "101 in bookings" in body["message"]
    handler.status = 500
    with pytest.raises(BackendUnavailable):
        open_target("ops", f"json://{address}/hook", timedelta(0)).send(queued(store), 5)


@pytest.mark.parametrize(("repeat", "least"), [(0, 24 * 29), (4, 4), (24, 24)])
def test_the_alertmanager_gets_its_own_form(
    store: SqlAlertStore, web: tuple[str, type[_Web]], repeat: int, least: int
) -> None:
    address, handler = web
    open_target("am", f"alertmanager://{address}/prefix/", timedelta(hours=repeat)).send(queued(store), 5)
    [(path, [alert])] = handler.seen
    assert path == "/prefix/api/v2/alerts"
    assert (alert["labels"]["alertname"], alert["labels"]["subject"]) == ("deep", "bookings")
    lasts = datetime.fromisoformat(alert["endsAt"]) - datetime.fromisoformat(alert["startsAt"])
    assert lasts > timedelta(hours=least), "it ends before anybody says that it goes on"


def test_a_url_that_is_none_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        open_target("ops", "nosuch://user:s3cret@host", timedelta(0))
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"

"""The port AlertStore: in PostgreSQL and in a file."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from support.stores import postgres_place
from ticketops.backends.store.alerts import SqlAlertStore
from ticketops.backends.store.sqlite import SqlitePlace
from ticketops.domain.alerts.lifecycle import Alert, Message, Notice, Phase, Silence
from ticketops.ports.alerts import AlertStore

HOUR = timedelta(hours=1)
HOSTILE = "\x1b[31m[/red]\0\udc80 \\"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AlertStore]:
    file = request.param == "sqlite"
    place = SqlitePlace(tmp_path / "alerts.sqlite3") if file else postgres_place(request.getfixturevalue("database"))
    with closing(SqlAlertStore(place)) as made:
        yield made


def alert(store: AlertStore, subject: str = "s", phase: Phase = Phase.FIRING) -> Alert:
    now = store.now()
    return Alert(rule="r", subject=subject, phase=phase, since=now - HOUR, fired_at=now, seen_at=now, message=HOSTILE)


def message(store: AlertStore, **changes: object) -> Message:
    now = store.now()
    values = {
        "target": "ops",
        "notice": Notice.FIRED,
        "rule": "r",
        "subject": HOSTILE,
        "severity": "critical",
        "text": HOSTILE,
        "labels": (("team", "x"),),
        "at": now,
        "since": now,
        "due": now,
    }
    return Message(**{**values, **changes})  # type: ignore[arg-type]  # a test's own values


def test_alerts_are_kept_changed_and_forgotten(store: AlertStore) -> None:
    one, two = alert(store), alert(store, "other", Phase.PENDING)
    store.save([one, two], [], [])
    assert sorted(store.alerts(), key=lambda a: a.subject) == [two, one]
    store.save([], [two], [])
    assert store.alerts() == [one]
    long_ago = Alert(**{**_fields(one), "phase": Phase.RESOLVED, "resolved_at": store.now() - 30 * HOUR})
    store.save([long_ago], [], [])
    assert store.alerts() == []


def _fields(one: Alert) -> dict[str, object]:
    return {name: getattr(one, name) for name in Alert.__dataclass_fields__}


def test_one_evaluator_at_a_time(store: AlertStore) -> None:
    assert store.lead("a", 60)
    assert not store.lead("b", 60)
    assert store.lead("a", 0)
    assert store.lead("b", 60)


def test_messages_wait_until_they_were_delivered(store: AlertStore) -> None:
    store.save([], [], [message(store), message(store, target="mail")])
    first, second = store.waiting(store.now(), 10)
    assert (first.subject, first.text, first.labels, first.notice) == (HOSTILE, HOSTILE, (("team", "x"),), Notice.FIRED)
    store.delivered(first)
    store.undelivered(second, "504", store.now() + HOUR)
    assert store.waiting(store.now(), 10) == []
    [again] = store.waiting(store.now() + 2 * HOUR, 10)
    assert (again.attempts, again.error, again.target) == (1, "504", "mail")
    assert (store.figures().undelivered, store.figures().last_error) == (1, "504")
    store.undelivered(again, "gone", None)
    assert store.waiting(store.now() + 9 * HOUR, 10) == []


def test_silences_end(store: AlertStore) -> None:
    now = store.now()
    silence = Silence(id=0, rule="*", subject=HOSTILE, until=now + HOUR, by="me", reason=HOSTILE, at=now)
    made = store.silence(silence)
    assert made.id > 0
    assert store.silences() == [made]
    assert store.unsilence(made.id)
    assert not store.unsilence(made.id)
    assert store.silences() == []


def test_figures(store: AlertStore) -> None:
    assert store.figures().evaluated_seconds is None
    store.lead("a", 60)
    store.evaluated(store.now())
    store.save([alert(store), alert(store, "p", Phase.PENDING)], [], [])
    found = store.figures()
    assert (found.firing, found.pending, found.undelivered) == (1, 1, 0)
    assert found.evaluated_seconds is not None

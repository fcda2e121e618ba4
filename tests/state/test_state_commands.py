"""`ticketops state` and `ticketops payments` as their users have them."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from support.cli import Cli, CliHere
from support.machines import PostgresMachineBox, booking
from support.waiting import eventually
from ticketops.domain.bookings import BOOKING
from ticketops.domain.diagram import Drawing, draw
from ticketops.domain.subjects import Subject
from ticketops.options import PostgresOptions
from ticketops.services.guard import Access
from ticketops.services.transitions.flow import BookingFlow


@pytest.fixture
def run(cli: Cli, database: PostgresOptions) -> Cli:
    (cli.folder / "ticketops.toml").touch()
    return CliHere(
        cli.folder,
        variables={
            "TICKETOPS_POSTGRES_URL": database.url,
            "TICKETOPS_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
            "TICKETOPS_REDIS_URL": "redis://127.0.0.1:1/0",
        },
    )


@pytest.fixture
def box(database: PostgresOptions) -> Iterator[PostgresMachineBox]:
    with closing(PostgresMachineBox(database)) as made:
        yield made


@pytest.fixture
def flow(box: PostgresMachineBox) -> BookingFlow:
    return BookingFlow(box.store(), Access("default", read_only=False))


def to_payment(flow: BookingFlow, **changes: object) -> Subject:
    made = flow.create(booking(**changes))  # type: ignore[arg-type]
    flow.reserve(made.key)
    return flow.request_payment(made.key).after


def over(flow: BookingFlow, seconds: float = 60) -> Subject:
    return flow.create(booking(expires_at=datetime.now(UTC) - timedelta(seconds=seconds)))


def test_history_and_show_by_id_reference_and_payment(run: Cli, flow: BookingFlow) -> None:
    made = to_payment(flow, payment_reference="pay-7")
    for key in (made.key, made.reference, "pay-7"):
        done = run("state", "history", key, "-o", "json")
        assert [row["event"] for row in done.json["items"]] == [
            "CREATE", "RESERVE_SEATS", "SEATS_RESERVED", "REQUEST_PAYMENT",
        ]  # fmt: skip
        assert set(done.json["items"][0]) == {
            "id", "key", "at", "from_state", "event", "to_state", "triggered_by", "reason", "stayed_seconds",
        }  # fmt: skip
    shown = run("state", "show", made.key, "-o", "json").json
    assert (shown["state"], shown["payment_status"], shown["total_amount"]) == ("PAYMENT_PENDING", "PENDING", "99.90")
    assert shown["last_transition"]["event"] == "REQUEST_PAYMENT"
    assert "PAYMENT_CAPTURED" in shown["takes"]
    assert len(run("state", "history", made.key, "--limit", 2, "-o", "name").out.split()) == 2


def test_the_history_of_a_booking_that_is_gone(run: Cli, box: PostgresMachineBox) -> None:
    key = str(uuid4())
    box.record(key, "PENDING", "FAIL", "FAILED")
    assert run("state", "history", key, "-o", "json").json["items"][0]["to_state"] == "FAILED"
    assert run("state", "show", key).code == 5
    for unknown in (str(uuid4()), "BK-none", "\x1b[31m"):
        done = run("state", "history", unknown)
        assert (done.code, done.out) == (5, "")
        assert "\x1b" not in done.err


def test_every_format(run: Cli, flow: BookingFlow) -> None:
    made = to_payment(flow)
    for form in ("table", "wide", "json", "jsonl", "yaml", "csv", "name"):
        words = ["stats"] if form in {"table", "yaml"} else ["history", made.key]
        done = run("state", *words, "-o", form)
        assert (done.code, done.err) == (0, ""), form
        assert done.out


def test_fire_is_planned_confirmed_and_audited(run: Cli, box: PostgresMachineBox, flow: BookingFlow) -> None:
    made = to_payment(flow)
    planned = run("state", "fire", made.reference, "cancel", "--dry-run", "--reason-text", "customer called")
    assert planned.code == 0
    assert "from PAYMENT_PENDING to CANCELLED" in planned.out
    assert "write the outbox event BOOKING_CANCELLED" in planned.out
    assert run("state", "fire", made.key, "CANCEL").code == 6
    assert box.history(made.key)[-1][1] == "REQUEST_PAYMENT"
    done = run("state", "fire", made.key, "CANCEL", "--yes", "--reason-text", "customer called", "-o", "json")
    assert done.code == 0
    assert (done.json["state"], done.json["from_state"]) == ("CANCELLED", "PAYMENT_PENDING")
    assert done.json["cancellation_reason"] == "customer called"
    assert box.history(made.key)[-1] == ("PAYMENT_PENDING", "CANCEL", "CANCELLED")
    kind, payload = box.events(made.key)[-1]
    assert (kind, payload["cancellationReason"]) == ("BOOKING_CANCELLED", "customer called")
    with box.connection() as connection:
        audit = connection.execute("select action, target, reason, result, actor from ticketops.audit").fetchall()
    assert [row[:4] for row in audit if row[0] == "state fire"] == [
        ("state fire", made.key, "customer called", "CANCELLED")
    ]
    assert all("@" in row[4] for row in audit if row[0] == "state fire")


def test_fire_is_refused(run: Cli, flow: BookingFlow) -> None:
    made = to_payment(flow)
    refused = run("state", "fire", made.key, "CONFIRM", "--yes")
    assert refused.code == 6
    assert "PAYMENT_CAPTURED" in refused.err
    assert run("state", "fire", made.key, "EXPIRE", "--yes").code == 6
    assert run("state", "fire", made.key, "NONSENSE", "--yes").code == 6
    assert run("state", "fire", str(uuid4()), "CANCEL", "--yes").code == 5
    assert run("state", "fire", made.key, "CANCEL", "--yes", "--set", "read_only=true").code == 4
    assert run("state", "fire", made.key, "CANCEL", "--yes", "--machine", "bookings").code == 5
    assert run("state", "show", made.key, "-o", "json").json["state"] == "PAYMENT_PENDING"


def test_stuck_says_what_is_likely_missing(run: Cli, flow: BookingFlow) -> None:
    waiting = to_payment(flow)
    expired = over(flow)
    run("payments", "publish", "captured", waiting.key, "--payment", "pay-1", "--yes")
    done = run(
        "--timeout",
        "4",
        "state",
        "stuck",
        "--set",
        'state.limits={"PENDING": 900, "PAYMENT_PENDING": 0.01}',
        "-o",
        "json",
    )
    assert done.code == 8
    first, second = done.json["items"]
    assert (first["key"], first["missing"], first["expired"]) == (expired.key, "expiry", True)
    assert (second["key"], second["expired"]) == (waiting.key, False)
    texts = {clue["text"].partition(" is ")[0] for clue in second["clues"]}
    assert {"PAYMENT_CAPTURED of PAYMENT", "PAYMENT_REQUESTED of BOOKING"} <= texts
    assert "could not look at dead letters of bookings" in done.err
    assert "could not look at consumer group" in done.err
    assert run("--timeout", "4", "state", "stuck", "--state", "RESERVING").code == 0
    assert run("--timeout", "20", "state", "stuck", "--state", "NOWHERE").code == 2


def test_stats_count_states_moves_and_stays(run: Cli, flow: BookingFlow) -> None:
    to_payment(flow)
    over(flow)
    found = run("state", "stats", "-o", "json").json
    states = {one["state"]: (one["count"], one["expired"]) for one in found["states"]}
    assert states["PAYMENT_PENDING"] == (1, 0)
    assert states["PENDING"] == (1, 1)
    assert {(one["from_state"], one["event"], one["count"]) for one in found["transitions"]} == {
        ("PENDING", "CREATE", 2), ("PENDING", "RESERVE_SEATS", 1), ("RESERVING", "SEATS_RESERVED", 1),
        ("SEATS_RESERVED", "REQUEST_PAYMENT", 1),
    }  # fmt: skip
    assert {one["state"] for one in found["stays"]} == {"PENDING", "RESERVING", "SEATS_RESERVED"}
    assert run("state", "stats", "--window", "soon").code == 2


def test_verify_finds_what_is_wrong(run: Cli, box: PostgresMachineBox, flow: BookingFlow) -> None:
    made = to_payment(flow)
    assert run("state", "verify", "--grace", "0s").code == 0
    box.record(str(uuid4()), "PENDING", "FAIL", "FAILED", ago=100)
    with box.connection() as connection:
        connection.execute("update booking.bookings set status = 'CONFIRMED' where booking_id = %s", [made.key])
    done = run("state", "verify", "--grace", "0s", "-o", "json")
    assert done.code == 8
    assert {one["flaw"] for one in done.json["items"]} == {"state differs", "no subject"}
    assert "5 transitions of 2: 2 faults" in done.err
    assert len(run("state", "verify", "--grace", "0s", "--limit", 1, "-o", "name").out.split()) == 1


def test_expire_moves_what_is_past_its_time(run: Cli, box: PostgresMachineBox, flow: BookingFlow) -> None:
    first, second, third, alive = over(flow, 900), over(flow, 600), over(flow, 5), to_payment(flow)
    assert run("state", "expire").code == 6
    assert run("state", "expire", "--all").code == 6
    planned = run("state", "expire", "--older-than", "1m", "--dry-run")
    assert "EXPIRE 2: PENDING 2" in planned.out
    done = run("state", "expire", first.reference, alive.key, "--yes", "-o", "json")
    assert (done.code, done.json["keys"]) == (0, [first.key])
    assert run("state", "expire", "--all", "--set", "read_only=true", "--yes").code == 4
    with box.store().unit() as unit:
        unit.lock([second.key])
        partly = run("state", "expire", "--all", "--yes", "-o", "json")
    assert (partly.code, partly.json["keys"], partly.json["left_keys"]) == (3, [third.key], [second.key])
    assert run("state", "expire", "--state", "PENDING", "--yes", "-o", "json").json["moved"] == 1
    again = run("state", "expire", "--all", "--yes")
    assert (again.code, again.out) == (0, "")
    assert box.history(first.key)[-1] == ("PENDING", "EXPIRE", "EXPIRED")
    assert box.events(first.key)[-1][1]["status"] == "EXPIRED"


def test_the_daemon_expires_and_ends_on_a_signal(run: Cli, box: PostgresMachineBox, flow: BookingFlow) -> None:
    made = over(flow)
    box.record(made.key, "PENDING", None, "RESERVING", ago=91 * 86_400)
    process = run.start(
        "state", "expire", "--daemon", "--set", "http.port=0", "--set", "state.maintenance_interval=0.2"
    )
    try:
        eventually(lambda: box.store().find(made.key)[0].state == "EXPIRED", 30)
        eventually(lambda: len(box.history(made.key)) == 2, 30)
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    assert run("state", "expire", "--daemon", "--all").code == 2
    assert run("state", "expire", "--daemon", "--set", "read_only=true").code == 4


def test_a_diagram_is_drawn_from_the_table(run: Cli) -> None:
    for drawing in (Drawing.DOT, Drawing.TEXT):
        assert run("state", "diagram", "-o", drawing.value).out == draw(BOOKING, drawing)
    assert run("state", "diagram").out == draw(BOOKING, Drawing.MERMAID)
    assert run("state", "diagram", "-o", "json").json["text"] == draw(BOOKING, Drawing.MERMAID)
    assert run("state", "diagram", "-o", "jpeg").code == 2


def test_a_payment_event_is_written_as_the_contract_has_it(
    run: Cli, box: PostgresMachineBox, flow: BookingFlow
) -> None:
    made = to_payment(flow)
    assert run("payments", "publish", "captured", made.key, "--yes").code == 2
    planned = run("payments", "publish", "failed", made.key, "--payment", "pay-1", "--dry-run")
    assert "write PAYMENT_FAILED of payment pay-1" in planned.out
    done = run(
        "payments", "publish", "PAYMENT_FAILED", made.reference, "--payment", "pay-1", "--failure-reason", "declined",
        "--yes", "-o", "json",
    )  # fmt: skip
    assert done.code == 0
    with box.connection() as connection:
        (row,) = connection.execute(
            "select id::text, aggregate_id, event_type, payload from booking.outbox_events "
            "where aggregate_type = 'PAYMENT'"
        ).fetchall()
    assert row[:3] == (done.json["id"], made.key, "PAYMENT_FAILED")
    assert row[3] == {
        "type": "PAYMENT_FAILED", "paymentId": "pay-1", "bookingId": made.key, "failureReason": "declined",
    }  # fmt: skip
    assert json.loads(done.json["payload"]) == row[3]


def test_a_payment_event_is_refused(run: Cli, flow: BookingFlow) -> None:
    made = to_payment(flow)
    assert run("payments", "publish", "stolen", made.key, "--yes").code == 2
    assert run("payments", "publish", "captured", "BK-none", "--payment", "p", "--yes").code == 5
    assert run("payments", "publish", "captured", "BK-none", "--payment", "p", "--yes", "--unchecked").code == 0
    assert run("payments", "publish", "captured", made.key, "--payment", "p").code == 6
    assert (
        run("payments", "publish", "captured", made.key, "--payment", "p", "--failure-reason", "x", "--yes").code == 2
    )
    assert run("payments", "publish", "refunded", made.key, "--payment", "p" * 101, "--yes").code == 1
    assert (
        run("payments", "publish", "refunded", made.key, "--payment", "p", "--yes", "--set", "read_only=true").code == 4
    )


def test_another_service_declares_its_machine(run: Cli, box: PostgresMachineBox) -> None:
    with box.connection() as connection:
        connection.execute(
            "create table booking.shipments (id int primary key, state text not null, due timestamptz);"
            "create table booking.moves (id bigserial primary key, id2 int, from_state text, to_state text, "
            "event text, created_at timestamptz default now());"
            "insert into booking.shipments values (7, 'NEW', now()), (8, 'PACKED', null)"
        )
    (run.folder / "ticketops.toml").write_text(
        """
[machines.shipment]
table = "shipments"
history_table = "moves"
initial = "NEW"
transitions = ["NEW + PACK -> PACKED", "PACKED + SEND -> SENT", "NEW + EXPIRE -> GONE"]
terminal = ["GONE"]
success = ["SENT"]
columns = {expires_at = "due"}
history_columns = {key = "id2", transition_id = "", triggered_by = "", reason = ""}
announced = {SENT = "SHIPMENT_SENT"}
limits = {NEW = 60}
[outbox.topics]
"*" = "{type}-events"
""",
        encoding="utf-8",
    )
    m = ("--machine", "shipment")
    done = run("state", "fire", "8", "SEND", *m, "--yes", "-o", "json")
    assert (done.code, done.json["state"]) == (0, "SENT"), done.err
    kind, payload = box.events("8")[0]
    assert (kind, payload["id"], payload["status"]) == ("SHIPMENT_SENT", "8", "SENT")
    assert run("state", "history", "8", *m, "-o", "json").json["items"][0]["event"] == "SEND"
    assert run("--timeout", "4", "state", "stuck", *m, "-o", "name").out.split() == ["7"]
    assert run("state", "expire", "7", *m, "--yes").code == 0
    assert run("state", "show", "7", *m, "-o", "json").json["state"] == "GONE"
    states = {one["state"]: one["count"] for one in run("state", "stats", *m, "-o", "json").json["states"]}
    assert states == {"NEW": 0, "PACKED": 0, "SENT": 1, "GONE": 1}
    assert run("state", "verify", *m, "--grace", "0s").code == 0
    assert '"NEW"' in run("state", "diagram", *m, "-o", "dot").out
    for key in ("abc", "99999999999999999999999", "9"):
        assert run("state", "show", key, *m).code == 5


def test_backends_that_are_away(run: Cli) -> None:
    nowhere = {"TICKETOPS_POSTGRES_URL": "postgresql://127.0.0.1:1/none"}
    for words in (["history", "x"], ["stuck"], ["expire", "--all", "--yes"]):
        assert run("state", *words, env=nowhere).code == 7, words
    assert run("payments", "publish", "captured", "x", "--yes", env=nowhere).code == 7


def test_an_empty_database_says_what_is_missing(run: Cli, empty_database: PostgresOptions) -> None:
    done = run("state", "show", "x", env={"TICKETOPS_POSTGRES_URL": empty_database.url})
    assert done.code == 1
    assert "there is no table booking.bookings" in done.err
    assert "db upgrade" in done.err

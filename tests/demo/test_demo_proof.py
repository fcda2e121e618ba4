import re
from dataclasses import replace
from pathlib import Path

import pytest

from ticketops.cli.demo_summary import WIDTH, fields, summary
from ticketops.demo.flow.act import FlowReport
from ticketops.demo.flow.proof import FlowProof
from ticketops.demo.journey import book
from ticketops.demo.outage import OutageReport
from ticketops.demo.proof import Proof, Read, Written, best_second, prove, quantile, waits
from ticketops.demo.show import Report
from ticketops.domain.bookings import BOOKING


def _written(*versions: int, key: str = "k") -> dict[str, Written]:
    return {f"{key}{version}": Written("t", key, version, 0.0, live=True) for version in versions}


def _read(event_id: str, *, topic: str = "t", at: float = 1.0) -> Read:
    return Read(event_id, topic, event_id[0], int(event_id[1:]), at, at)


def _proof(*events: str) -> Proof:
    return prove(_written(1, 2, 3), [_read(event) for event in events])


def test_every_event_in_order_holds() -> None:
    proof = _proof("k1", "k2", "k3")
    assert proof.holds
    assert (proof.written, proof.distinct, proof.records, proof.repeats, proof.aggregates) == (3, 3, 3, 0, 1)


def test_repeats_are_counted_and_do_not_disturb_the_order() -> None:
    proof = _proof("k1", "k2", "k1", "k2", "k3")
    assert proof.holds
    assert proof.repeats == 2


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        (["k1", "k2"], "lost"),
        (["k1", "k3", "k2"], "disordered"),
        (["k1", "k2", "k3", "k9"], "unexpected"),
        ([], "lost"),
    ],
)
def test_a_fault_is_found(events: list[str], fault: str) -> None:
    proof = _proof(*events)
    assert not proof.holds
    assert getattr(proof, fault)


def test_another_topic_is_found() -> None:
    proof = prove(_written(1), [_read("k1", topic="other")])
    assert not proof.holds
    assert proof.misplaced == ("k1",)


def test_nothing_written_proves_nothing() -> None:
    assert not prove({}, []).holds


def test_orders_of_two_keys_are_their_own() -> None:
    written = _written(1, 2) | _written(1, 2, key="q")
    assert prove(written, [_read(event) for event in ("q1", "k1", "q2", "k2")]).holds


def test_the_best_second() -> None:
    assert best_second([]) == 0
    assert best_second([5.0, 0.0, 0.5, 1.0, 1.4]) == 3


def test_waits_count_the_first_arrival_of_live_events() -> None:
    written = {"k1": Written("t", "k", 1, 1.0, live=True), "k2": Written("t", "k", 2, 1.0, live=False)}
    records = [_read("k1", at=1.5), _read("k1", at=9.0), _read("k2", at=9.0)]
    assert waits(written, records) == [0.5]


def test_quantiles() -> None:
    assert quantile([], 0.5) == 0.0
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert quantile([1.0, 2.0], 1.0) == 2.0


@pytest.mark.parametrize(("paid", "end"), [(True, "CONFIRMED"), (False, "CANCELLED")])
def test_a_booking_numbers_the_events_of_each_aggregate(paid: bool, end: str) -> None:
    booking = book(paid=paid)
    told = [one for step in booking.steps for one in step.told]
    for key in {one.aggregate_id for one in told}:
        versions = [one.version for one in told if one.aggregate_id == key]
        assert versions == list(range(1, len(versions) + 1))
    assert booking.steps[-1].status == end
    assert booking.after(end) is None
    assert booking.after("PENDING") == booking.steps[1]
    for step in booking.steps[1:]:
        assert BOOKING.targets[step.before, step.event] == step.status


OUTAGE = OutageReport(
    letters=3000,
    cause="POST <value>: <n> Gateway Timeout",
    group="b924f0b4",
    percent=66,
    moved=2000,
    seconds=1.5,
    left=1000,
    queued=2000,
    twice=0,
    operation="d7d81e7a-0000-0000-0000-000000000000",
)


def test_an_item_in_two_places_or_none_is_no_proof() -> None:
    assert OUTAGE.holds
    assert not replace(OUTAGE, twice=1).holds
    assert not replace(OUTAGE, left=999).holds
    assert not replace(OUTAGE, queued=1999).holds


FLOW = FlowReport(
    proof=FlowProof(
        bookings=200,
        confirmed=167,
        refunded=21,
        cancelled=33,
        transitions=1200,
        events=787,
        payment_events=387,
        hostile=19,
        dead_letters=13,
        dead_again=1,
        ignored=6,
        emails=200,
        released=30,
        compensated=5,
        faults={},
    ),
    killed="payments-1",
    killed_at=41,
    seconds=9.5,
)


def _report(proof: Proof, config_file: str | None = None) -> Report:
    return Report(
        proof=proof,
        versions={"PostgreSQL": "18.6"},
        transactions=2883,
        rolled_back=94,
        backlog=20_000,
        best_second=16_000,
        killed="relay-1",
        killed_inflight=176,
        takeover_seconds=2.3,
        lease_seconds=2.0,
        wait_p50=0.037,
        wait_p99=2.5,
        wait_longest=3.5,
        seconds=21.0,
        config_file=config_file,
        outage=OUTAGE,
        payments=FLOW,
    )


def test_the_summary_fits_80_columns_and_is_plain_in_a_pipe() -> None:
    text = summary(_report(_proof("k1", "k2", "k3")), color=False)
    assert "PROVED" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "\x1b" in summary(_report(_proof("k1")), color=True)


def test_the_summary_of_a_failure_names_examples() -> None:
    report = _report(_proof("k1", "k3", "k2", "k8"))
    text = summary(report, color=False)
    assert "FAILED" in text
    assert "never committed: k8" in text
    assert "out of order: t k" in text
    assert fields(report)["proved"] is False


def test_the_summary_names_what_is_wrong_with_the_payment_flow() -> None:
    wrong = {
        "seats that are kept": ("b-1", "b-2", "b-3", "b-4"),
        "histories that `state verify` refuses": ("b-5: gap",),
    }
    report = replace(_report(_proof("k1")), payments=replace(FLOW, proof=replace(FLOW.proof, faults=wrong)))
    text = summary(report, color=False)
    assert "FAILED: payment events, bookings and emails do not agree" in text
    assert "seats that are kept: b-1, b-2, b-3 (4 in all)" in text
    assert "wrong histories              1" in text
    assert fields(report)["proved"] is False


def test_the_summary_of_kept_engines_shows_commands_whole() -> None:
    file = "/a/rather/long/path/to/the/folder/of/kept/engines/of/a/demo/with a space/ticketops.toml"
    text = summary(_report(_proof("k1"), file), color=False)
    assert f"export TICKETOPS_CONFIG='{file}'" in text


def test_every_field_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/json.md").read_text(encoding="utf-8")
    section = page.partition("## `demo`")[2].partition("\n## ")[0]
    shown = fields(_report(_proof("k1")))
    payments = shown["payments"]
    assert isinstance(payments, dict)
    for name in [*shown, *payments]:
        assert re.search(rf"\b{name}\b", section), name

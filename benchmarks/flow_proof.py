"""The whole payment flow with daemons that are killed at random, and the proof that every event had one effect."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

from benchmarks.figures import spread
from benchmarks.report import Figure, Goal, Report, Verdict
from benchmarks.scale import Scale
from benchmarks.stage import Stage
from ticketops.demo.flow.evidence import judge
from ticketops.demo.flow.proof import FlowProof
from ticketops.demo.flow.run import Flow, FlowPlan
from ticketops.demo.ground import Ground, upgrade, write_configuration
from ticketops.embedded.background import Addresses
from ticketops.embedded.valkey import ValkeyServer

NAME = "flow-proof"
TITLE = "bookings from a request in Redis to the email, eight daemons killed at random, one payment event in 20 hostile"
SECONDS = 900
_QUIET_SECONDS = 120.0
"""From the last kill until nothing is left to do."""
_LOOK = 0.2
_SHOWN = 5


def run(stage: Stage, scale: Scale) -> Report:
    """Let the flow run, and prove."""
    plan = FlowPlan(bookings=scale.of(10_000, 300, "bookings"))
    kills = scale.of(50, 10, "kills")
    with _ground(stage) as ground:
        started = time.monotonic()
        flow, proof = perform(ground, plan, kills)
        seconds = time.monotonic() - started
    return _report(flow, proof, seconds)


def perform(ground: Ground, plan: FlowPlan, kills: int) -> tuple[Flow, FlowProof]:
    """The flow with so many kills, spread over its bookings; TimeoutError where it does not get quiet."""
    flow, draw = Flow(ground, plan), random.Random(plan.seed)  # noqa: S311 - chaos, not a secret
    try:
        flow.start()
        for number in range(kills):
            _until(flow, partial(_have_ended, flow, (number + draw.random()) / kills))
            flow.kill_one(draw)
        _until(flow, flow.is_quiet)
        return flow, judge(flow)
    finally:
        flow.stop()


def _have_ended(flow: Flow, part: float) -> bool:
    return flow.count_ended() >= part * len(flow.orders)


def _until(flow: Flow, condition: Callable[[], bool]) -> None:
    tick, deadline, ended = threading.Event(), time.monotonic() + _QUIET_SECONDS, -1
    while not condition():
        flow.look_after()
        if (now := flow.count_ended()) > ended:
            ended, deadline = now, time.monotonic() + _QUIET_SECONDS
        if time.monotonic() > deadline:
            raise TimeoutError(f"the flow stands still: {flow.what_is_left()}")
        tick.wait(_LOOK)


@contextmanager
def _ground(stage: Stage) -> Iterator[Ground]:
    folder = stage.folder / NAME
    folder.mkdir()
    database = stage.database()
    with ValkeyServer() as valkey:
        addresses = Addresses(postgres=database.url, redis=valkey.address, kafka=stage.kafka.address)
        file = folder / "ticketops.toml"
        write_configuration(file, addresses)
        versions = {"PostgreSQL": stage.postgres.version, "Kafka": stage.kafka.version, "Valkey": valkey.version}
        yield Ground(folder, file, upgrade(file, lambda _: None), versions, lasting=True)
    stage.drop(database)


def _report(flow: Flow, proof: FlowProof, seconds: float) -> Report:
    counts = {name: value for name, value in asdict(proof).items() if isinstance(value, int)}
    faults = {what: len(where) for what, where in proof.faults.items()}
    shown = [f"{what}: {one}" for what, where in proof.faults.items() for one in where[:_SHOWN]]
    return Report(
        NAME,
        TITLE,
        [
            *(Figure(name.replace("_", " "), spread([float(value)]), "") for name, value in counts.items()),
            Figure("kills", spread([float(flow.kills)]), ""),
            Figure("daemons that ended by themselves", spread([float(len(flow.ended))]), ""),
            Figure("the whole flow", spread([seconds]), "s"),
        ],
        [Verdict("faults", spread([float(sum(faults.values()))]), "", Goal(0, at_least=False))],
        shown or ["PROVED: every event had exactly one effect, and every failure is a dead letter."],
        {"faults": dict(proof.faults), "ended": flow.ended},
    )

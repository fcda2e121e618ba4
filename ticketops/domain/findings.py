"""What `doctor` finds: evidence, why it matters, and how it is set right."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ticketops.domain.database import Finding as SchemaFinding
from ticketops.domain.database import Verdict
from ticketops.domain.deadletters import Fault, FaultKind
from ticketops.domain.lag.verdicts import Grade

_ORDER: Final = {Grade.BAD: 0, Grade.WARN: 1, Grade.UNKNOWN: 2, Grade.OK: 3}
SKEW: Final = 1.0
"""Seconds that two clocks may differ."""
_FAR: Final = 30.0
"""Seconds of difference from which on leases, retries and expiries go wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    area: str
    """postgres, kafka, redis, dlq, emails, clock, store, config."""
    subject: str
    grade: Grade
    """BAD: it breaks or loses something; WARN: it will; UNKNOWN: it could not be looked at; OK."""
    evidence: str
    """What is there, in words."""
    why: str = ""
    """What it costs; empty where nothing is wrong."""
    fix: str = ""
    """A command, SQL, or a setting; empty where nothing needs to be done."""
    mender: str = ""
    """What `--fix` would call; empty where a person must do it."""


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The worst first, otherwise in the order given."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.grade]))


def of_schema(found: SchemaFinding) -> Finding:
    """What `db status` says, as a finding."""
    wrong = found.verdict in {Verdict.MISSING, Verdict.WRONG}
    return Finding(
        area="postgres",
        subject=found.item,
        grade=(Grade.BAD if found.blocking else Grade.WARN) if wrong else Grade.OK,
        evidence=found.found if not wrong else f"{found.verdict.value}: {found.found}",
        why=found.cost,
        fix=found.next,
    )


def of_faults(queue: str, faults: Sequence[Fault]) -> Iterator[Finding]:
    """What is wrong with a dead-letter queue: one finding for each kind of fault, with an example."""
    kinds = {(fault.kind, bool(fault.fix)): fault for fault in reversed(faults)}
    for (kind, fixable), first in kinds.items():
        number = sum(1 for fault in faults if (fault.kind, bool(fault.fix)) == (kind, fixable))
        lost = kind in {FaultKind.WRONG_TYPE, FaultKind.NO_TOPIC}
        look = f"ticketops dlq doctor --queue {shlex.quote(queue)}"
        yield Finding(
            area="dlq",
            subject=f"{queue}: {kind.value}",
            grade=Grade.BAD if lost else Grade.WARN,
            evidence=f"{number}, as {first.subject}: {first.found}",
            why=WHY[kind],
            fix=f"ticketops doctor --fix ({first.fix})" if fixable else look,
            mender=f"dlq {queue}" if fixable else "",
        )


def of_producer(properties: Mapping[str, object]) -> Iterator[Finding]:
    """What `kafka.properties` say of the partitioner; the other guarantees are checked when they are loaded."""
    value = str(properties.get("partitioner", "murmur2"))
    if value not in MURMUR2:
        yield Finding(
            area="config",
            subject="kafka.properties",
            grade=Grade.WARN,
            evidence=f"partitioner = {value}",
            why="keys go elsewhere than the other services put them, so the order of a booking's records is lost",
            fix="remove partitioner from it",
        )


MURMUR2: Final = frozenset({"murmur2", "murmur2_random"})
"""Names of the partitioner that Java's producers have."""


WHY: Final = {
    FaultKind.NO_BODY: "it is counted and listed, and nothing can be put back",
    FaultKind.NO_ID: "it is in no list, so nobody sees it before it expires",
    FaultKind.COUNTER: "the worker's own figures are wrong",
    FaultKind.STALE_SHOW: "the worker asks an empty queue again and again",
    FaultKind.MISSING_SHOW: "the worker does not see what waits there",
    FaultKind.ITEM_MAP: "the map grows for ever",
    FaultKind.UNREADABLE: "the worker drops it",
    FaultKind.SOURCE_TIME: "dead letters vanish before anybody has looked at them",
    FaultKind.WRONG_TYPE: "the worker's commands on it fail",
    FaultKind.NO_TOPIC: "what fails has nowhere to go",
    FaultKind.NO_ORIGIN: "they cannot be put back where they came from",
    FaultKind.NO_DESTINATION: "they cannot be put back",
    FaultKind.UNFINISHED: "they stay claimed, and are in no list",
    FaultKind.NEVER_DUE: "the service never picks them",
    FaultKind.LEFT_BEHIND: "whoever worked on it is gone",
}
"""What each fault costs."""


def clock(backend: str, seconds: float, uncertain: float) -> Finding:
    """The difference of a backend's clock to this host's, known to `uncertain` seconds."""
    off = max(abs(seconds) - uncertain, 0.0)
    grade = Grade.BAD if off > _FAR else Grade.WARN if off > SKEW else Grade.OK
    wrong = grade is not Grade.OK
    return Finding(
        area="clock",
        subject=backend,
        grade=grade,
        evidence=f"{seconds:+.2f} s to this host, give or take {uncertain:.2f} s",
        why="ages, expiries and retry times are told wrong, and events of several hosts seem to swap" if wrong else "",
        fix="run a time service (chrony, systemd-timesyncd) on both hosts" if wrong else "",
    )


def unanswered(area: str, error: str, hint: str, *, denied: bool) -> Finding:
    """Something could not be looked at."""
    return Finding(
        area=area.partition(" ")[0],
        subject=area.partition(" ")[2] or "reachable",
        grade=Grade.UNKNOWN,
        evidence=("a right is missing: " if denied else "") + error,
        why="what depends on it could not be looked at",
        fix=hint,
    )

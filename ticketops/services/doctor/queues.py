"""A dead-letter queue's own faults, as far as the time allows."""

import shlex
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from ticketops.domain.deadletters import Fault
from ticketops.domain.findings import Finding, of_faults
from ticketops.domain.lag.verdicts import Grade
from ticketops.ports.deadletters import DeadLetterQueue

_MOST: Final = 10_000
_SHARE: Final = 0.8
"""Part of the time-out that is looked on."""


def queue_findings(
    open_queue: Callable[[float], DeadLetterQueue], name: str, grace: float, timeout: float
) -> list[Finding]:
    """One finding for each kind of fault older than `grace` seconds; one that all is well where there is none."""
    deadline = time.monotonic() + timeout * _SHARE
    faults: list[Fault] = []
    whole = True
    with closing(open_queue(timeout)) as queue:
        for fault in queue.faults(grace):
            faults.append(fault)
            if len(faults) >= _MOST or time.monotonic() >= deadline:
                whole = False
                break
    found = list(of_faults(name, faults))
    if not whole:
        evidence = f"the first {len(faults)} faults were looked at"
        fix = f"ticketops dlq doctor --queue {shlex.quote(name)}"
        found.append(Finding(area="dlq", subject=name, grade=Grade.UNKNOWN, evidence=evidence, fix=fix))
    return found or [Finding(area="dlq", subject=name, grade=Grade.OK, evidence="no faults")]

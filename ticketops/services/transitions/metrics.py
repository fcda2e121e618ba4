"""What is counted of transitions, by machine."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, generate_latest

from ticketops.domain.machine import Refusal, Why
from ticketops.domain.subjects import Change


class TransitionMetrics:
    """Implements Meter; several parts of one process can share a registry, each metric once."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry or CollectorRegistry()
        self._moved = Counter(
            "ticketops_state_transitions",
            "Transitions that were committed",
            ["machine", "from_state", "to_state"],
            registry=self._registry,
        )
        self._refused = Counter(
            "ticketops_state_invalid_transitions",
            "Events that a state did not take",
            ["machine", "from_state", "why"],
            registry=self._registry,
        )
        self._forgotten = Counter(
            "ticketops_state_forgotten",
            "Rows of the history and the inbox that were dropped past their days",
            ["machine", "kind"],
            registry=self._registry,
        )

    def moved(self, machine: str, changes: Iterable[Change]) -> None:
        """See Meter."""
        tally = Tally((move.source, move.target) for change in changes for move in change.moves)
        for (source, target), count in tally.items():
            self._moved.labels(machine, source, target).inc(count)

    def refused(self, machine: str, refusal: Refusal) -> None:
        """See Meter."""
        state = "" if refusal.why is Why.UNKNOWN_STATE else refusal.state
        self._refused.labels(machine, state, refusal.why.value.replace(" ", "_")).inc()

    def forgotten(self, machine: str, kind: str, count: int) -> None:
        """Old rows were dropped: `history` or `inbox`."""
        self._forgotten.labels(machine, kind).inc(count)

    def exposition(self) -> bytes:
        """The text format that Prometheus scrapes."""
        return generate_latest(self._registry)

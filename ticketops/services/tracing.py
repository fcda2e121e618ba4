"""Relay and workers with spans of what they do; where tracing is off, none of this is in the way."""

from collections.abc import Callable, Mapping, Sequence

from ticketops.domain.consuming import Comparison, Outcome, Record
from ticketops.domain.outbox import Backlog, PendingEvent
from ticketops.domain.relay import Failed
from ticketops.ports.consumers import RecordHandler
from ticketops.ports.tracing import Tracer
from ticketops.services.relay.observer import Meter


class TracedMeter:
    """Implements observer.Meter: the figures go on, and what was published becomes a span."""

    def __init__(self, meter: Meter, tracer: Tracer) -> None:
        self._meter = meter
        self._tracer = tracer

    def published(self, events: Sequence[PendingEvent], seconds: float) -> None:
        """See observer.Meter."""
        self._meter.published(events, seconds)
        self._tracer.published(events, seconds)

    def failed(self, failed: Sequence[Failed]) -> None:
        """See observer.Meter."""
        self._meter.failed(failed)

    def backlog(self, backlog: Backlog) -> None:
        """See observer.Meter."""
        self._meter.backlog(backlog)

    def backend(self, backend: str, *, up: bool) -> None:
        """See observer.Meter."""
        self._meter.backend(backend, up=up)


class TracedHandler:
    """Implements ports.RecordHandler: each record is handled within its span."""

    def __init__(self, handler: RecordHandler, tracer: Tracer) -> None:
        self._handler = handler
        self._tracer = tracer

    def handle(self, records: Sequence[Record]) -> list[Outcome]:
        """See ports.RecordHandler."""
        with self._tracer.consuming(records) as consuming:
            outcomes = self._handler.handle(consuming.records)
            consuming.came_of_it(outcomes)
        return outcomes

    def check(self) -> None:
        """See ports.RecordHandler."""
        self._handler.check()

    def alone(self, record: Record) -> bool:
        """See ports.RecordHandler."""
        return self._handler.alone(record)

    def decide(self, record: Record) -> Outcome:
        """See ports.RecordHandler."""
        return self._handler.decide(record)

    def expect(self, record: Record) -> Mapping[str, str] | None:
        """See ports.RecordHandler."""
        return self._handler.expect(record)

    def compare(self, record: Record, expected: Mapping[str, str]) -> Comparison:
        """See ports.RecordHandler."""
        return self._handler.compare(record, expected)

    def after(self) -> float:
        """See ports.RecordHandler."""
        return self._handler.after()

    def close(self) -> None:
        """See ports.RecordHandler."""
        self._handler.close()


def traced_meter(meter: Meter, tracer: Tracer | None) -> Meter:
    """The meter, with spans where there is a tracer."""
    return meter if tracer is None else TracedMeter(meter, tracer)


def traced_handlers(make: Callable[[], RecordHandler], tracer: Tracer | None) -> Callable[[], RecordHandler]:
    """The maker of handlers, with spans where there is a tracer."""
    return make if tracer is None else lambda: TracedHandler(make(), tracer)

"""The port Tracer over the OpenTelemetry SDK; names and attributes are its conventions for messaging."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ticketops import __version__
from ticketops.domain.consuming import Failure, Outcome, Record
from ticketops.domain.outbox import PendingEvent
from ticketops.domain.records import TRACE_PARENT
from ticketops.domain.tracing import trace_parent_of, well_formed
from ticketops.options import OtelOptions

_LINKS: Final = 128
"""Links of one span, as many as the SDK keeps."""
_NANO: Final = 1_000_000_000
_CLOSE_MILLIS: Final = 3000
_propagator = TraceContextTextMapPropagator()


class OtelTracer:
    """Implements ports.tracing.Tracer; spans wait in memory for the exporter's thread, and are dropped when full."""

    def __init__(self, options: OtelOptions, part: str, exporter: SpanExporter | None = None) -> None:
        """`part` names what this process runs; `exporter` takes the place of the one of OTLP over HTTP."""
        resource = Resource.create(
            {"service.name": options.service_name, "service.version": __version__, "ticketops.part": part}
        )
        sampler = ParentBased(TraceIdRatioBased(options.sample_ratio))
        self._provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
        made = exporter or OTLPSpanExporter(endpoint=options.endpoint, timeout=options.timeout)
        self._provider.add_span_processor(BatchSpanProcessor(made))
        self._tracer = self._provider.get_tracer("ticketops", __version__)
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def published(self, events: Sequence[PendingEvent], seconds: float) -> None:
        """See ports.tracing.Tracer."""
        end = time.time_ns()
        contexts = (_context(event.trace_parent) for event in events)
        linked = [context for context in contexts if context is not None and context.trace_flags.sampled][:_LINKS]
        if not linked:
            return
        span = self._tracer.start_span(
            "publish outbox events",
            kind=SpanKind.PRODUCER,
            links=[Link(context) for context in linked],
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "send",
                "messaging.batch.message_count": len(events),
            },
            start_time=end - int(seconds * _NANO),
        )
        span.end(end)

    @contextmanager
    def consuming(self, records: Sequence[Record]) -> "Iterator[OtelConsuming]":
        """See ports.tracing.Tracer."""
        consuming = OtelConsuming(records, [self._consume(record) for record in records])
        try:
            yield consuming
        except BaseException as error:
            consuming.failed(type(error).__name__)
            raise
        finally:
            consuming.end()

    def _consume(self, record: Record) -> Span:
        parent = _context(trace_parent_of(record.headers))
        context = None if parent is None else trace.set_span_in_context(trace.NonRecordingSpan(parent))
        return self._tracer.start_span(
            f"process {record.topic}",
            context=context,
            kind=SpanKind.CONSUMER,
            links=[] if parent is None else [Link(parent)],
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.destination.name": record.topic,
                "messaging.destination.partition.id": str(record.position.partition.number),
                "messaging.kafka.offset": record.position.offset,
            },
        )

    def close(self) -> None:
        """See ports.tracing.Tracer."""
        self._provider.force_flush(_CLOSE_MILLIS)
        self._provider.shutdown()


@dataclass(slots=True)
class OtelConsuming:
    """Implements ports.tracing.Consuming."""

    _records: Sequence[Record]
    _spans: list[Span]

    @property
    def records(self) -> Sequence[Record]:
        """See ports.tracing.Consuming."""
        return [_continued(record, span) for record, span in zip(self._records, self._spans, strict=True)]

    def came_of_it(self, outcomes: Sequence[Outcome]) -> None:
        """See ports.tracing.Consuming."""
        for span, outcome in zip(self._spans, outcomes, strict=True):
            if isinstance(outcome, Failure):
                span.set_status(Status(StatusCode.ERROR))
                span.set_attribute("error.type", outcome.error_class)
            else:
                span.set_attribute("ticketops.outcome", outcome.what)

    def failed(self, kind: str) -> None:
        """An exception ended all of them."""
        for span in self._spans:
            span.set_status(Status(StatusCode.ERROR))
            span.set_attribute("error.type", kind)

    def end(self) -> None:
        """They end now."""
        for span in self._spans:
            span.end()


def _context(trace_parent: str | None) -> SpanContext | None:
    if well_formed(trace_parent) is None:
        return None
    found = trace.get_current_span(_propagator.extract({TRACE_PARENT: trace_parent})).get_span_context()
    return found if found.is_valid else None


def _continued(record: Record, span: Span) -> Record:
    context = span.get_span_context()
    text = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    others = tuple((name, value) for name, value in record.headers if name.lower() != TRACE_PARENT)
    return replace(record, headers=(*others, (TRACE_PARENT, text.encode())))

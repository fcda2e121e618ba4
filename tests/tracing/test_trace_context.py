"""Trace context as it is carried on, with and without spans."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from ticketops.backends.otel.tracing import OtelTracer
from ticketops.domain.consuming import Failure, FailureKind, Handled, Outcome, Partition, Position, Record
from ticketops.domain.outbox import OutboxEvent, PendingEvent
from ticketops.domain.records import record_for
from ticketops.domain.tracing import trace_parent_of, with_field
from ticketops.options import OtelOptions
from ticketops.services.tracing import TracedHandler

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"


def pending(trace_parent: str | None = None, payload: bytes | None = b"{}") -> PendingEvent:
    return PendingEvent(b"i" * 16, 0, 1, "BOOKING", "7", "X", payload, None, trace_parent, 0, 0.5)


def record(*headers: tuple[str, bytes | None], offset: int = 0) -> Record:
    return Record(Position(Partition("payment-events", 3), offset), b"k", b"{}", headers)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (PARENT.encode(), PARENT),
        (f"cc-{TRACE}-{SPAN}-01-what-a-later-version-adds".encode(), f"cc-{TRACE}-{SPAN}-01-what-a-later-version-adds"),
        (f"ff-{TRACE}-{SPAN}-01".encode(), None),
        (f"00-{'0' * 32}-{SPAN}-01".encode(), None),
        (f"00-{TRACE}-{'0' * 16}-01".encode(), None),
        (PARENT.upper().encode(), None),
        (b"\xff\x00", None),
        (b"", None),
        (None, None),
    ],
)
def test_the_header_of_a_record(header: bytes | None, found: str | None) -> None:
    assert trace_parent_of((("other", b"x"), ("traceparent", header))) == found


@given(st.binary(max_size=100))
def test_any_header_is_taken(header: bytes) -> None:
    found = trace_parent_of((("traceparent", header),))
    assert found is None or found.encode() == header


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        (json.dumps({"trace": PARENT}).encode(), PARENT.encode()),
        (b'{"trace": 7}', None),
        (b'{"trace": null}', None),
        (b'{"trace": "a\\u0000b"}', None),
        (b'{"trace": "' + b"x" * 5000 + b'"}', None),
        (b'["trace"]', None),
        (b"trace", None),
        (b"{}", None),
        (None, None),
    ],
)
def test_a_field_of_the_payload_becomes_the_header(payload: bytes | None, sent: bytes | None) -> None:
    made = record_for(pending(payload=payload), "t", headers=True, trace_field="trace")
    assert dict(made.headers or ()).get("traceparent") == sent
    assert made.value == payload
    beside = record_for(pending("00-column", payload), "t", headers=True, trace_field="trace")
    assert dict(beside.headers or ())["traceparent"] == b"00-column"
    assert record_for(pending(payload=payload), "t", headers=False, trace_field="trace").headers is None


def test_the_field_is_written_where_the_payload_is_an_object_without_it() -> None:
    event = OutboxEvent("BOOKING", "7", "X", '{"amount": 99.90, "b": [1]}', trace_parent=PARENT)
    (made,) = with_field([event], "trace")
    assert made.payload_text() == f'{{"amount":99.90,"b":[1],"trace":"{PARENT}"}}'
    assert made.id == event.id
    for payload in ('{"trace": 1}', "[1]", '"text"'):
        other = OutboxEvent("BOOKING", "7", "X", payload, trace_parent=PARENT)
        assert with_field([other], "trace") == [other]
    bare = OutboxEvent("BOOKING", "7", "X", "{}")
    assert with_field([bare], "trace") == [bare]


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Iterator[OtelTracer]:
    with closing(OtelTracer(OtelOptions(enabled=True), "tests", spans)) as made:
        yield made


def ended(tracer: OtelTracer, spans: InMemorySpanExporter) -> tuple[ReadableSpan, ...]:
    tracer._provider.force_flush(10_000)
    return spans.get_finished_spans()


def test_a_batch_that_was_published_is_one_span_with_links(tracer: OtelTracer, spans: InMemorySpanExporter) -> None:
    tracer.published([pending(PARENT), pending(), pending(UNSAMPLED), pending("not one")], 0.25)
    (span,) = ended(tracer, spans)
    assert span.kind is SpanKind.PRODUCER
    assert [link.context.span_id for link in span.links] == [int(SPAN, 16)]
    assert (span.attributes or {})["messaging.batch.message_count"] == 4
    assert (span.end_time or 0) - (span.start_time or 0) == 250_000_000
    tracer.published([pending(), pending(UNSAMPLED)], 0.25)
    assert len(ended(tracer, spans)) == 1


def test_links_of_a_batch_are_bounded(tracer: OtelTracer, spans: InMemorySpanExporter) -> None:
    tracer.published([pending(PARENT)] * 1000, 0.1)
    assert len(ended(tracer, spans)[0].links) == 128


class Noting:
    """A handler that notes the trace context that it is given."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = outcomes
        self.seen: list[str | None] = []

    def handle(self, records: Sequence[Record]) -> list[Outcome]:
        self.seen = [trace_parent_of(one.headers) for one in records]
        if not self.outcomes:
            raise RuntimeError("a defect")
        return list(self.outcomes)

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


def test_a_record_is_handled_in_its_own_trace(tracer: OtelTracer, spans: InMemorySpanExporter) -> None:
    refused = Failure(FailureKind.POISON, "InvalidRecord", "no")
    handler = Noting(Handled("confirmed", "1"), refused)
    traced = TracedHandler(handler, tracer)  # type: ignore[arg-type]
    assert traced.handle([record(("traceparent", PARENT.encode()), offset=5), record()]) == [*handler.outcomes]
    first, second = ended(tracer, spans)
    assert (first.context.trace_id, first.parent and first.parent.span_id) == (int(TRACE, 16), int(SPAN, 16))
    assert [link.context.span_id for link in first.links] == [int(SPAN, 16)]
    assert handler.seen[0] == f"00-{TRACE}-{first.context.span_id:016x}-01"
    attributes = first.attributes or {}
    assert (attributes["messaging.kafka.offset"], attributes["ticketops.outcome"]) == (5, "confirmed")
    assert second.parent is None
    assert second.status.status_code is StatusCode.ERROR
    assert (second.attributes or {})["error.type"] == "InvalidRecord"


def test_what_was_not_sampled_stays_so(tracer: OtelTracer, spans: InMemorySpanExporter) -> None:
    handler = Noting(Handled("x", ""))
    TracedHandler(handler, tracer).handle([record(("traceparent", UNSAMPLED.encode()))])  # type: ignore[arg-type]
    assert ended(tracer, spans) == ()
    assert handler.seen[0] is not None
    assert handler.seen[0].startswith(f"00-{TRACE}-")
    assert handler.seen[0].endswith("-00")


def test_an_exception_ends_the_spans_and_goes_on(tracer: OtelTracer, spans: InMemorySpanExporter) -> None:
    with pytest.raises(RuntimeError, match="a defect"):
        TracedHandler(Noting(), tracer).handle([record(), record()])  # type: ignore[arg-type]
    assert [(span.attributes or {})["error.type"] for span in ended(tracer, spans)] == ["RuntimeError"] * 2


class Failing(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise OSError(len(spans))


def test_a_collector_that_fails_is_nobodys_trouble() -> None:
    tracer = OtelTracer(OtelOptions(), "tests", Failing())
    TracedHandler(Noting(Handled("x", "")), tracer).handle([record()])  # type: ignore[arg-type]
    tracer.close()
    unreachable = OtelTracer(OtelOptions(endpoint="http://127.0.0.1:1/v1/traces", timeout=1.0), "tests")
    TracedHandler(Noting(Handled("x", "")), unreachable).handle([record()])  # type: ignore[arg-type]
    unreachable.close()

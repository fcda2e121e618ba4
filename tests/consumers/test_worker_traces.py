"""Trace context through the payments worker, and its spans on the way to a collector."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.workers import MakeWorker, Works
from ticketops.options import PostgresOptions

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Collector(HTTPServer):
    """Takes spans as OTLP over HTTP sends them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.spans: list[Span] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class _Taker(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ExportTraceServiceRequest.FromString(body)
        self.server.spans += [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def pay(works: Works, booking: str) -> None:
    body = f'{{"type": "PAYMENT_FAILED", "paymentId": "p", "bookingId": "{booking}"}}'
    works.send(booking, body.encode(), headers=[("ticketops-event-id", b"e-1"), ("traceparent", PARENT.encode())])


def written(works: Works, booking: str) -> list[tuple[str | None]]:
    query = "select payload->>'traceparent' from booking.outbox_events where aggregate_id = %s"
    return works.site.rows(query, booking)  # type: ignore[return-value]


def test_the_context_goes_on_without_any_spans(works: Works, make_worker: MakeWorker) -> None:
    booking = works.booking()
    pay(works, booking)
    assert make_worker("w", "--drain", outbox={"trace_field": "traceparent"}).run(60.0) == 0
    assert written(works, booking) == [(PARENT,), (PARENT,)]


def test_a_column_of_the_outbox_takes_the_context(
    works: Works, make_worker: MakeWorker, database: PostgresOptions
) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("alter table booking.outbox_events add column trace text")
    booking = works.booking()
    pay(works, booking)
    assert make_worker("w", "--drain", outbox={"columns": {"trace_parent": "trace"}}).run(60.0) == 0
    rows = works.site.rows("select trace from booking.outbox_events where aggregate_id = %s", booking)
    assert rows == [(PARENT,), (PARENT,)]


def test_with_spans_it_goes_on_at_the_worker(works: Works, make_worker: MakeWorker, collector: Collector) -> None:
    booking = works.booking()
    pay(works, booking)
    otel = {"enabled": True, "endpoint": collector.endpoint}
    assert make_worker("w", "--drain", outbox={"trace_field": "traceparent"}, otel=otel).run(60.0) == 0
    (span,) = [span for span in collector.spans if span.trace_id.hex() == TRACE]
    assert span.parent_span_id.hex() == SPAN
    assert span.name == f"process {works.topic}"
    assert written(works, booking) == [(f"00-{TRACE}-{span.span_id.hex()}-01",)] * 2

"""/livez, /readyz and /metrics over HTTP, and the figures behind them."""

import socket
import struct
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from uuid import uuid4

import pytest

from ticketops.domain.outbox import Backlog, FailureState, PendingEvent
from ticketops.domain.relay import Failed
from ticketops.errors import BackendError
from ticketops.options import HttpOptions
from ticketops.services.exposition import Exposition, Health, Probes
from ticketops.services.metrics import RelayMetrics

HERE = HttpOptions(port=0)


class Daemon:
    """What the server asks."""

    def __init__(self) -> None:
        self.live = Health(ok=True, reason="ok")
        self.ready = Health(ok=False, reason="waiting for Kafka")
        self.metrics = RelayMetrics({"BOOKING": "booking-events"})

    @property
    def probes(self) -> Probes:
        return Probes(live=lambda: self.live, ready=lambda: self.ready, metrics=self.metrics.exposition)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def server(daemon: Daemon) -> Iterator[Exposition]:
    made = Exposition(HERE, daemon.probes)
    made.start()
    yield made
    made.stop()


def get(server: Exposition, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = HTTPConnection(server.address, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), response.read().decode()
    finally:
        connection.close()


def test_liveness_and_readiness_answer_with_their_reason(server: Exposition, daemon: Daemon) -> None:
    text = "text/plain; charset=utf-8"
    assert get(server, "/livez") == (200, text, "ok\n")
    assert get(server, "/readyz?verbose") == (503, text, "waiting for Kafka\n")
    daemon.ready = Health(ok=True, reason="ok")
    daemon.live = Health(ok=False, reason="stuck: lane-0")
    assert get(server, "/readyz")[0] == 200
    assert get(server, "/livez") == (503, text, "stuck: lane-0\n")


def test_another_path_says_what_there_is(server: Exposition) -> None:
    status, _, body = get(server, "/")
    assert status == 404
    assert "/metrics" in body
    assert get(server, "/livez", "POST")[0] == 501


def test_metrics_are_what_prometheus_scrapes(server: Exposition, daemon: Daemon) -> None:
    event = PendingEvent(
        uuid4().bytes, 0, 1, "BOOKING", "B-1", "BOOKING_CREATED", b"{}", None, None, attempts=0, age=0.5
    )
    metrics = daemon.metrics
    metrics.published([event] * 25, 0.25)
    metrics.published([event._replace(aggregate_type="UNKNOWN", age=-5.0)], 0.0)
    metrics.failed([Failed(event, FailureState.DEAD, 5, None, "no")])
    metrics.backlog(Backlog(pending=7, oldest_seconds=1.5, held_back=2, dead=3))
    metrics.backend("PostgreSQL", up=True)
    metrics.shards(16)
    status, kind, body = get(server, "/metrics")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = body.splitlines()
    for line in (
        'ticketops_outbox_published_total{topic="booking-events"} 25.0',
        'ticketops_outbox_published_total{topic=""} 1.0',
        'ticketops_outbox_failed_total{state="dead"} 1.0',
        "ticketops_outbox_pending 7.0",
        "ticketops_outbox_oldest_pending_seconds 1.5",
        "ticketops_outbox_held_back_aggregates 2.0",
        "ticketops_outbox_dead_letters 3.0",
        'ticketops_backend_up{backend="postgres"} 1.0',
        'ticketops_backend_up{backend="kafka"} 0.0',
        "ticketops_relay_shards 16.0",
    ):
        assert line in lines
    metrics.backlog(Backlog(pending=0, oldest_seconds=None, held_back=0, dead=0))
    assert "ticketops_outbox_oldest_pending_seconds 0.0" in get(server, "/metrics")[2].splitlines()


def test_a_client_that_breaks_off_is_no_news(
    server: Exposition, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As checks of load balancers do: connect, and reset."""
    handled = threading.Event()
    handle = server._server.handle_error

    def noted(request: object, address: object) -> None:
        handle(request, address)
        handled.set()

    monkeypatch.setattr(server._server, "handle_error", noted)
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET /liv")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert handled.wait(30)
    assert get(server, "/livez")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_port_in_use_is_said(server: Exposition, daemon: Daemon) -> None:
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(BackendError, match=f"port {port}"):
        Exposition(HttpOptions(port=port), daemon.probes)


def test_a_host_that_is_not_ours_is_said(daemon: Daemon) -> None:
    with pytest.raises(BackendError, match="cannot listen"):
        Exposition(HttpOptions(host="192.0.2.1", port=0), daemon.probes)


def test_stopping_frees_the_port(daemon: Daemon) -> None:
    first = Exposition(HERE, daemon.probes)
    port = int(first.address.rpartition(":")[2])
    first.stop()
    second = Exposition(HttpOptions(port=port), daemon.probes)
    second.start()
    second.stop()

"""A seat service over gRPC on loopback, which a test lets answer, fail or hang."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

METHOD = "/tickets.v1.Seats/Release"


class GrpcSeats(grpc.GenericRpcHandler):
    """Takes any request; remembers it with its metadata."""

    def __init__(self) -> None:
        self.code = grpc.StatusCode.OK
        self.hang = threading.Event()
        self.hang.set()
        self.calls: list[tuple[bytes, dict[str, str]]] = []
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}{METHOD}"

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return grpc.unary_unary_rpc_method_handler(self._release) if handler_call_details.method == METHOD else None

    def _release(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls.append((request, dict(context.invocation_metadata())))
        self.hang.wait(20.0)
        if self.code is not grpc.StatusCode.OK:
            context.abort(self.code, "no such seats")
        return b""

    def close(self) -> None:
        self.hang.set()
        self._server.stop(None).wait(5.0)


@pytest.fixture
def grpc_seats() -> Iterator[GrpcSeats]:
    service = GrpcSeats()
    yield service
    service.close()

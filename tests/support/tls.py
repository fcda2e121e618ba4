"""TLS in front of a server that has none, with certificates of an authority of our own."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

import trustme

_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Papers:
    """Files of one authority: its own, a client's certificate with its key, and a stranger's authority."""

    authority: trustme.CA
    ca_file: Path
    certificate_file: Path
    key_file: Path
    stranger_file: Path


def papers(folder: Path) -> Papers:
    """Make them."""
    authority, client = trustme.CA(), folder / "client.pem"
    issued = authority.issue_cert("operator@example.org")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(folder / "stranger.pem"))
    issued.cert_chain_pems[0].write_to_path(str(client))
    issued.private_key_pem.write_to_path(str(folder / "client.key"))
    return Papers(authority, folder / "ca.pem", client, folder / "client.key", folder / "stranger.pem")


class TlsProxy:
    """Takes TLS on a port of 127.0.0.1 and forwards in the clear; `clients`: only with a certificate."""

    def __init__(self, target: int, authority: trustme.CA, *, name: str = "127.0.0.1", clients: bool = False) -> None:
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self._context)
        if clients:
            authority.configure_trust(self._context)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(_pump(reader.read, server_writer), _pump(server_reader.read, writer))
        finally:
            for one in (writer, server_writer):
                one.close()


async def _pump(read: Callable[[int], Awaitable[bytes]], sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await read(_CHUNK):
            sink.write(data)
            await sink.drain()
    sink.close()

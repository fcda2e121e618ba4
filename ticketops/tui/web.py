"""The dashboard in a browser: each page is a dashboard of its own, in a process that ends with the page.

Who has the address with its key can do what the person who started it can do; so the key is long, it is a cookie after
the first look, and other sites' pages are refused.
"""

import asyncio
import hmac
import secrets
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp_jinja2
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from ticketops.errors import UsageError

_PAGES: Final = 8
"""Pages at a time: each is a process that asks every backend."""
_PATIENCE: Final = 3.0
"""Seconds that a dashboard has to end by itself."""
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:;"
    " img-src 'self' data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Child(AppService):
    """One page's dashboard."""

    async def stop(self) -> None:
        """Ask it to end, and end it where it does not."""
        process = self._process
        if process is None:
            return
        ended = asyncio.gather(super().stop(), process.wait())
        await asyncio.wait({ended}, timeout=_PATIENCE)
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await ended


class WebServer(Server):
    """Serves one command; listens as soon as it is made."""

    def __init__(self, command: str, host: str, port: int, title: str, name: str = "") -> None:
        """`command` is for a shell; port 0: any that is free; `name`: by which a proxy before it is reached.

        UsageError where the address cannot be had.
        """
        self._listener = _listening(host, port)
        super().__init__(command, host, self._listener.getsockname()[1], title, templates_path=Path(__file__).parent)
        self._key = secrets.token_urlsafe(24)
        self._name = name.lower()
        self._open: set[web.WebSocketResponse] = set()

    @property
    def address(self) -> str:
        """What to open in a browser; it holds the key."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/?key={self._key}"

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        loop = asyncio.new_event_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_exit)
        web.run_app(
            self._make_app(),
            sock=self._listener,
            loop=loop,
            handle_signals=False,
            access_log=None,
            print=None,
            shutdown_timeout=_PATIENCE + 1,
        )

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guarded)
        return app

    async def on_startup(self, app: web.Application) -> None:
        """See Server: who started it was told already."""

    async def on_shutdown(self, app: web.Application) -> None:  # noqa: ARG002 - the library's signature
        """See Server: pages end, and their dashboards with them."""
        for page in [*self._open]:
            await page.close()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not (self._is_ours(request.headers.get("Host", "")) and self._same_origin(request)):
            raise web.HTTPForbidden(text="another site's page asks\n")
        if "key" in request.query:
            return self._let_in(request.query["key"])
        self._check(request.cookies.get(self._cookie, ""))
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    def _let_in(self, key: str) -> web.Response:
        """Keep the key in a cookie and out of the address."""
        self._check(key)
        response = web.Response(status=303, headers={**_HEADERS, "Location": "./"})
        response.set_cookie(self._cookie, self._key, httponly=True, samesite="Strict")
        return response

    def _check(self, key: str) -> None:
        if not hmac.compare_digest(key.encode(), self._key.encode()):
            raise web.HTTPForbidden(text="open the address that `ticketops tui --web` printed, with its key\n")

    @property
    def _cookie(self) -> str:
        return f"ticketops-{self.port}"

    def _is_ours(self, said: str) -> bool:
        """Whether a name is one that this server is reached by; a foreign name may be made to mean this machine."""
        host = (urlsplit(f"//{said}").hostname or "").lower()
        everywhere = self.host in {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound
        return everywhere or host in {self.host.lower(), "localhost", "127.0.0.1", "::1", self._name}

    def _same_origin(self, request: web.Request) -> bool:
        origin = request.headers.get("Origin")
        if origin is None or urlsplit(origin).netloc == request.headers.get("Host"):
            return True
        return bool(self._name) and urlsplit(origin).hostname == self._name

    @aiohttp_jinja2.template("web.html")
    async def handle_index(self, request: web.Request) -> dict[str, Any]:
        """See Server."""
        scheme = "wss" if request.headers.get("X-Forwarded-Proto", request.scheme) == "https" else "ws"
        return {
            "title": self.title,
            "socket": f"{scheme}://{request.headers.get('X-Forwarded-Host', request.host)}/ws",
            "font_size": to_int(request.query.get("fontsize", "16"), 16),
        }

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """See Server: a page is a process."""
        if len(self._open) >= _PAGES:
            raise web.HTTPServiceUnavailable(text=f"{_PAGES} pages are open already\n")
        page = web.WebSocketResponse(heartbeat=15)

        async def close() -> None:
            await page.close()

        self._open.add(page)
        child: Child | None = None
        try:
            await page.prepare(request)
            child = Child(
                self.command,
                write_bytes=page.send_bytes,
                write_str=page.send_str,
                close=close,
                download_manager=self.download_manager,
            )
            await child.start(to_int(request.query.get("width", ""), 80), to_int(request.query.get("height", ""), 24))
            await self._process_messages(page, child)
        finally:
            self._open.discard(page)
            if child is not None:
                await child.stop()
        return page


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"{host}:{port} cannot be listened on",
            why=getattr(error, "strerror", None) or str(error),
            hint="choose another with --port; 0 takes any that is free",
        ) from None

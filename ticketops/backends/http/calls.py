"""HTTP calls of workers: bounded, guarded by a circuit, with errors of ours."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from string import Formatter
from urllib.parse import quote

import httpx

from ticketops.backends.http.line import Line
from ticketops.errors import ConfigError, ServiceFailed, ServiceRefused, ServiceTimeout

_TOO_MANY, _LATE, _EARLY = 429, 408, 425
_SERVER = 500
_REFUSED = 400
_SHOWN = 200
"""Characters of an answer that are told."""
_MOST_BYTES = 1_000_000


@contextmanager
def translated(service: str) -> Iterator[None]:
    """Turn what httpx raises into TicketOps' errors."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise ServiceTimeout(f"{service} gave no answer in time", why=type(error).__name__) from error
    except httpx.InvalidURL as error:
        raise ConfigError(f"the address of {service} cannot be used", why=str(error)) from error
    except httpx.HTTPError as error:
        raise ServiceFailed(f"{service} cannot be reached", why=str(error) or type(error).__name__) from error


def filled(template: str, values: Mapping[str, str], key: str) -> str:
    """The URL with {names} filled in, each as one segment; ConfigError for a name that there is none of."""
    try:
        names = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise ConfigError(f"{key} cannot be read", why=str(error)) from error
    if unknown := names - values.keys():
        raise ConfigError(f"{key} names {{{min(unknown)}}}", why=f"there are {', '.join(sorted(values))}")
    return template.format_map({name: quote(value, safe="") for name, value in values.items()})


class HttpService:
    """One service at one address; several threads may use it."""

    def __init__(self, name: str, timeout: float, headers: Mapping[str, str]) -> None:
        """`timeout` in seconds bounds a whole call, from connecting to the last byte."""
        self._name = name
        self._timeout = timeout
        self._headers = headers
        self._own = threading.local()
        self._lines: list[Line] = []
        """Of all threads."""

    def call(self, method: str, url: str, *, body: object = None, headers: Mapping[str, str] | None = None) -> bytes:
        """The answer's body; ServiceRefused for 4xx, ServiceFailed for 5xx, 408, 425, 429 and broken connections.

        `body` is sent as JSON; bytes are JSON already.
        """
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        line = self._line()
        with translated(self._name), line.deadline():
            request = line.client.build_request(
                method,
                url,
                content=content,
                headers={**({} if body is None else {"content-type": "application/json"}), **(headers or {})},
                extensions={"trace": line.trace},
            )
            answer = line.client.send(request, stream=True)
            try:
                read = _read(answer)
            finally:
                answer.close()
        self._judge(answer.status_code, read)
        return read

    def _line(self) -> Line:
        line: Line | None = getattr(self._own, "line", None)
        if line is None:
            line = self._own.line = Line(self._timeout, self._headers)
            self._lines.append(line)
        return line

    def _judge(self, status: int, content: bytes) -> None:
        if status < 300:  # noqa: PLR2004 - the successes
            return
        why = f"HTTP {status} {content[:_SHOWN].decode(errors='replace')}".strip()
        if status >= _SERVER or status in {_TOO_MANY, _LATE, _EARLY}:
            raise ServiceFailed(f"{self._name} failed", why=why)
        raise ServiceRefused(f"{self._name} refused", why=why)

    def close(self) -> None:
        """Give up connections."""
        for line in self._lines:
            line.client.close()


def _read(answer: httpx.Response) -> bytes:
    """At most a megabyte: what is longer is no answer of such a service."""
    content = b""
    for piece in answer.iter_bytes():
        content += piece
        if len(content) > _MOST_BYTES:
            break
    return content[:_MOST_BYTES]

"""Addresses that a service knows."""

import json
from collections.abc import Callable, Mapping
from typing import Protocol

from ticketops.backends.http.calls import HttpService, filled
from ticketops.errors import ServiceFailed, ServiceRefused

_KEY = "worker.emails.recipients_url"


class Guard(Protocol):
    """A circuit breaker around a call."""

    def call(self, call: Callable[[], bytes]) -> bytes:
        """Make the call, unless the circuit is open: CircuitOpen."""


class HttpRecipients:
    """Implements ports.Recipients: a GET whose JSON answer holds an address, or a list of them."""

    calls_out = True

    def __init__(self, url: str, field: str, headers: Mapping[str, str], timeout: float, guard: Guard) -> None:
        """`timeout` in seconds; `field` names the address, dots lead into objects."""
        self._url = url
        self._field = field.split(".")
        self._guard = guard
        self._service = HttpService("the service that knows addresses", timeout, headers)
        filled(url, {"user_id": "", "booking_id": "", "reference": "", "event_id": ""}, _KEY)

    def check(self) -> None:
        """See ports.Recipients; whether the service answers is seen when it is asked."""

    def find(self, booking: Mapping[str, str]) -> list[str]:
        """See ports.Recipients; 404 means that there is none."""
        url = filled(self._url, booking, _KEY)
        try:
            content = self._guard.call(lambda: self._service.call("GET", url))
        except ServiceRefused as error:
            if "HTTP 404" in error.why:
                return []
            raise
        return self._addresses(content)

    def _addresses(self, content: bytes) -> list[str]:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ServiceFailed("the service that knows addresses did not answer JSON", why=str(error)) from error
        for name in self._field:
            found = found.get(name) if isinstance(found, dict) else None
        values = found if isinstance(found, list) else [found]
        return [value for value in values if isinstance(value, str) and value]

    def close(self) -> None:
        """See ports.Recipients."""
        self._service.close()

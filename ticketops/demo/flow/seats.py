"""The service that keeps the seats: it takes them back, and now and then it fails."""

import random
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final

from ticketops.demo.flow.endpoint import Endpoint, Reply

TIMEOUT: Final = 1.0
"""Seconds that its callers wait."""
_FAILS: Final = ((0.06, 503), (0.03, 409))
"""Part of the calls, and what is answered."""
_SILENT: Final = 0.01
"""Part of the calls that are taken and answered too late."""


class SeatService:
    """Releases seats; `released` says which bookings', and how often each release was asked for."""

    def __init__(self, seed: int = 3, *, faults: bool = True) -> None:
        """Without `faults` it never fails."""
        self.released: Counter[str] = Counter()
        """Releases by booking id; a release that is repeated with its Idempotency-Key counts once."""
        self.refused = 0
        """Calls that it failed."""
        self._faults = faults
        self._keys: set[str] = set()
        self._draw = random.Random(seed)  # noqa: S311 - a workload, not a secret
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._endpoint = Endpoint(self._answer)

    @property
    def url(self) -> str:
        """What worker.payments.release_url has to be."""
        return self._endpoint.url("/bookings/{booking_id}/release")

    def close(self) -> None:
        """Stop answering; idempotent."""
        self._closing.set()
        self._endpoint.close()

    def _answer(self, path: str, headers: Mapping[str, str], _: bytes) -> Reply:
        booking, key = path.split("/")[2], headers.get("Idempotency-Key", "")
        with self._lock:
            drawn = self._draw.random() if self._faults else 0.5
            failure = _failure(drawn)
            if failure or not key:
                self.refused += 1
                return Reply(failure or 400)
            if key not in self._keys:
                self._keys.add(key)
                self.released[booking] += 1
        if drawn > 1 - _SILENT:
            self._closing.wait(2 * TIMEOUT)
        return Reply(200)


def _failure(drawn: float) -> int:
    for part, status in _FAILS:
        if drawn < part:
            return status
        drawn -= part
    return 0

"""Takes messages to their targets: at least once, further and further apart, and never held up by one that hangs."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from ticketops.domain.alerts.lifecycle import Message
from ticketops.domain.retry import RetryPolicy
from ticketops.errors import TicketOpsError
from ticketops.options.alerts import AlertsOptions
from ticketops.ports.alerts import AlertStore

_BATCH: Final = 50
_BASE: Final = 10.0
_CAP: Final = 900.0


class Target(Protocol):
    """Somebody who is told."""

    def send(self, message: Message, timeout: float) -> None:
        """Deliver within `timeout` seconds; any error of TicketOps where it did not arrive."""


class Delivery:
    """Delivers what is due. One instance serves one thread."""

    def __init__(
        self,
        store: AlertStore,
        targets: Mapping[str, Target],
        options: AlertsOptions,
        draw: Callable[[], float],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`draw` answers random numbers from 0 to 1."""
        self._store = store
        self._targets = targets
        self._options = options
        self._retry = RetryPolicy(max_attempts=options.attempts, base=_BASE, cap=_CAP)
        self._draw = draw
        self._monotonic = monotonic
        self._hung: dict[str, threading.Thread] = {}

    def deliver(self) -> tuple[int, int]:
        """Deliver what is due; how many arrived, and how many did not.

        What an interval between two evaluations is too short for stays due: slow targets hold no evaluation up.
        """
        arrived = failed = 0
        until = self._monotonic() + self._options.interval
        for message in self._store.waiting(self._store.now(), _BATCH):
            if self._monotonic() > until:
                break
            error = self._send(message)
            if not error:
                self._store.delivered(message)
                arrived += 1
                continue
            failed += 1
            self._store.undelivered(message, error, self._due(message))
        return arrived, failed

    def _due(self, message: Message) -> datetime | None:
        attempt = message.attempts + 1
        if attempt >= self._retry.max_attempts or message.target not in self._targets:
            return None
        return self._store.now() + timedelta(seconds=self._retry.delay(attempt, self._draw()))

    def _send(self, message: Message) -> str:
        """Why it did not arrive; empty where it did. A target that hangs keeps its thread, and no more than one."""
        target = self._targets.get(message.target)
        if target is None:
            return "there is no such target any more"
        if (hung := self._hung.get(message.target)) and hung.is_alive():
            return "an earlier message still hangs"
        outcome = [f"no answer within {self._options.delivery_timeout:g} s"]
        thread = threading.Thread(target=self._try, args=(target, message, outcome), daemon=True, name="alert")
        self._hung[message.target] = thread
        thread.start()
        thread.join(self._options.delivery_timeout)
        return outcome[0]

    def _try(self, target: Target, message: Message, outcome: list[str]) -> None:
        try:
            target.send(message, self._options.delivery_timeout)
            outcome[0] = ""
        except TicketOpsError as error:
            outcome[0] = str(error)
        except Exception as error:  # noqa: BLE001 - the thread's outermost guard: told in `status`
            outcome[0] = type(error).__name__  # its text may hold the target's URL, which is a secret

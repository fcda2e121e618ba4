"""A change of one subject in the making: events are fired, fields set, and the outbox events follow."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import msgspec

from ticketops.domain.machine import Machine, Refusal, decide
from ticketops.domain.outbox import OutboxEvent
from ticketops.domain.payload import Json
from ticketops.domain.subjects import Change, Compensation, CompensationType, Field, Move, Subject

TRIGGER_LENGTH: Final = 100
REASON_LENGTH: Final = 500
ERROR_LENGTH: Final = 1000
"""Characters that the columns triggered_by, reason and error_message hold."""
_json = msgspec.json.Encoder(decimal_format="number")


class Draft:
    """What will be written of one subject; nothing is written before the change is saved."""

    def __init__(self, machine: Machine, subject: Subject, at: datetime, *, triggered_by: str = "") -> None:
        """`at` is the database's time; `triggered_by` goes into the history of every move."""
        self._machine = machine
        self._before = subject
        self._at = at
        self._triggered_by = storable(triggered_by, TRIGGER_LENGTH)
        self._moves: list[Move] = []
        self._fields: dict[Field, object] = {}
        self._events: list[OutboxEvent] = []
        self._compensations: list[Compensation] = []
        self._subject = subject
        self._new: dict[str, Any] = {}
        self.trace_parent: str | None = None
        """The trace context that outbox events from here on belong to."""

    @property
    def subject(self) -> Subject:
        """As it will be."""
        if self._new:
            self._subject, self._new = replace(self._subject, **self._new), {}
        return self._subject

    @property
    def state(self) -> str:
        """The state that it will be in."""
        state: str = self._new.get("state", self._subject.state)
        return state

    @property
    def at(self) -> datetime:
        """The time of the change."""
        return self._at

    def set(self, fields: Mapping[Field, object]) -> None:
        """Set fields; do it before `fire`, so that the outbox event tells of them."""
        cleaned = {name: storable(value) if isinstance(value, str) else value for name, value in fields.items()}
        self._fields |= cleaned
        self._new |= {name.value: value for name, value in cleaned.items()}

    def fire(self, event: str, reason: str = "") -> str | Refusal:
        """The new state, or why there is none, and then the draft is as it was.

        Fields that the event implies are set unless `set` did, so is the time of the new state, and its outbox event
        is added. The reason goes into the history; a cancellation's becomes cancellation_reason where that is not set.
        """
        target = decide(self._machine, self.state, event, self._at, self._subject.expires_at)
        if isinstance(target, Refusal):
            return target
        self._moves.append(
            Move(
                source=self.state,
                event=event,
                target=target,
                triggered_by=self._triggered_by,
                reason=storable(reason, REASON_LENGTH),
            )
        )
        self._new["state"] = target
        implied = self._machine.implied.get(event, {})
        self.set({name: value for name, value in implied.items() if name not in self._fields})
        self._stamp(target, reason)
        self._announce(target, reason)
        return target

    def emit(self, event: OutboxEvent) -> None:
        """Add an outbox event of one's own; it gets the draft's trace context unless it has one."""
        own = event.trace_parent is not None or self.trace_parent is None
        self._events.append(event if own else replace(event, trace_parent=self.trace_parent))

    def compensate(self, kind: CompensationType, *, reference_id: str, error: str, payload: str = "") -> None:
        """Add a row for the saga to retry."""
        self._compensations.append(
            Compensation(
                type=kind,
                reference_id=storable(reference_id, TRIGGER_LENGTH),
                error=storable(error, ERROR_LENGTH),
                payload=storable(payload),
            )
        )

    def change(self) -> Change:
        """What there is to write by now."""
        return Change(
            before=self._before,
            after=self.subject,
            at=self._at,
            moves=tuple(self._moves),
            fields=dict(self._fields),
            events=tuple(self._events),
            compensations=tuple(self._compensations),
        )

    def _stamp(self, state: str, reason: str) -> None:
        column = self._machine.stamped.get(state)
        if column is None:
            return
        self.set({column: self._at})
        if column is Field.CANCELLED_AT and reason and not self.subject.cancellation_reason:
            self.set({Field.CANCELLATION_REASON: reason})

    def _announce(self, state: str, reason: str) -> None:
        event_type = self._machine.announced.get(state)
        if event_type is None:
            return
        payload = Json(as_json(self._machine.payload(self.subject, self._at, storable(reason))).decode())
        self.emit(OutboxEvent(self._machine.aggregate_type, self.subject.key, event_type, payload))


def as_json(payload: Mapping[str, object]) -> bytes:
    """JSON text in which amounts are numbers with all their digits."""
    return _json.encode(payload)


def storable(text: str, length: int | None = None) -> str:
    """`text` without what PostgreSQL cannot store, cut to a column's length in characters."""
    if text.isascii() and "\0" not in text and (length is None or len(text) <= length):
        return text
    kept = text.replace("\0", "␀").encode(errors="replace").decode()
    return kept if length is None or len(kept) <= length else kept[: length - 1] + "…"

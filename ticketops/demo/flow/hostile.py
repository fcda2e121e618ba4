"""Events on payment-events that no payment provider should send; pure."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from ticketops.demo.flow.orders import Order
from ticketops.domain.consuming import Partition, Position, Record
from ticketops.domain.records import EVENT_ID


@dataclass(frozen=True, slots=True)
class HostileEvent:
    """One record, and what must become of it."""

    kind: str
    key: bytes | None
    value: bytes | None
    dies: bool
    """True where it must be a dead letter; otherwise it must have no effect."""
    event_id: str | None = None
    """Sent as the relay's header, where given."""

    @property
    def inbox_id(self) -> str:
        """What the inbox knows it by, where it does not die."""
        headers = ((EVENT_ID, self.event_id.encode()),) if self.event_id else ()
        return Record(Position(Partition("", 0), 0), self.key, self.value, headers).event_id


@dataclass(frozen=True, slots=True)
class Finished:
    """A booking that nothing more will happen to."""

    order: Order
    sent: tuple[tuple[str, str], ...]
    """Event id and text of each payment event that it had."""


Maker = Callable[[int, random.Random, Finished], HostileEvent | None]
"""Makes the event of that number; None where it needs a booking that ended otherwise."""


def hostile(draw: random.Random, finished: Callable[[], Finished], first: int = 0) -> Iterator[HostileEvent]:
    """Without end, each kind as often as the others; `finished` chooses a booking."""
    number, kinds = first, list(KINDS.values())
    while True:
        draw.shuffle(kinds)
        for make in kinds:
            while (made := make(number, draw, finished())) is None:
                pass
            number += 1
            yield made


def _body(order: Order, kind: str, **changes: object) -> bytes:
    body = {"type": f"PAYMENT_{kind}", "paymentId": order.payment, "bookingId": order.key, **changes}
    return json.dumps({name: value for name, value in body.items() if value is not ...}).encode()


def _poison(kind: str, value: Callable[[Order, int], bytes | None], *, keyed: bool = True) -> Maker:
    def make(number: int, _: random.Random, found: Finished) -> HostileEvent:
        key = found.order.key.encode() if keyed else None
        return HostileEvent(kind, key, value(found.order, number), dies=True)

    return make


def _told(kind: str, event: str, fits: Callable[[Order], bool], *, dies: bool) -> Maker:
    """A well-formed event that comes too late, of another payment so that it is no repeat."""

    def make(number: int, _: random.Random, found: Finished) -> HostileEvent | None:
        if not fits(found.order):
            return None
        value = _body(found.order, event, paymentId=f"late-{number}")
        return HostileEvent(kind, found.order.key.encode(), value, dies=dies)

    return make


def _repeat(kind: str, *, keyed: bool, named: bool) -> Maker:
    """Something that was told already; once more with its id, without it, or without a key."""

    def make(_: int, draw: random.Random, found: Finished) -> HostileEvent | None:
        course = found.order.course
        if "authorized" in course.told and not course.confirmed:
            return None  # `authorized` without its id would be news to a cancelled booking, and die
        event_id, text = draw.choice(found.sent)
        key = found.order.key.encode() if keyed else None
        return HostileEvent(kind, key, text.encode(), dies=False, event_id=event_id if named else None)

    return make


def _cancelled(order: Order) -> bool:
    return not order.course.confirmed


def _confirmed(order: Order) -> bool:
    return order.course.confirmed


_MAKERS: Final[Mapping[str, Maker]] = {
    "not JSON": _poison("not JSON", lambda _, number: b"{nope %d" % number),
    "not UTF-8": _poison("not UTF-8", lambda _, number: b'{"type": "\xff\xfe %d"}' % number),
    "no type": _poison("no type", lambda order, _: _body(order, "CAPTURED", type=...)),
    "no payment": _poison("no payment", lambda order, _: _body(order, "CAPTURED", paymentId=...)),
    "no booking": _poison("no booking", lambda order, _: _body(order, "CAPTURED", bookingId=...)),
    "wrong type": _poison("wrong type", lambda order, number: _body(order, "CAPTURED", paymentId=number)),
    "unknown type": _poison("unknown type", lambda order, number: _body(order, f"DREAMED_{number}")),
    "unknown booking": _poison(
        "unknown booking", lambda order, number: _body(order, "CAPTURED", bookingId=str(UUID(int=number)))
    ),
    "null value": _poison("null value", lambda _, __: None),
    "null key": _poison("null key", lambda _, number: b"[%d]" % number, keyed=False),
}
KINDS: Final[Mapping[str, Maker]] = {
    **_MAKERS,
    "captured, but cancelled": _told("captured, but cancelled", "CAPTURED", _cancelled, dies=True),
    "authorized, but cancelled": _told("authorized, but cancelled", "AUTHORIZED", _cancelled, dies=True),
    "refunded, but cancelled": _told("refunded, but cancelled", "REFUNDED", _cancelled, dies=True),
    "failed, but captured": _told("failed, but captured", "FAILED", _confirmed, dies=True),
    "failed, but cancelled": _told("failed, but cancelled", "FAILED", _cancelled, dies=False),
    "captured again": _told("captured again", "CAPTURED", _confirmed, dies=False),
    "authorized too late": _told("authorized too late", "AUTHORIZED", _confirmed, dies=False),
    "repeat": _repeat("repeat", keyed=True, named=True),
    "repeat without id": _repeat("repeat without id", keyed=True, named=False),
    "repeat without key": _repeat("repeat without key", keyed=False, named=True),
}
"""By name; every one of them is in each round."""

"""The booking worker's queue item: as its encoder writes it and its decoder reads it."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from ticketops.domain.wire import scalars
from ticketops.domain.wire.scalars import INT64, ZERO, WireTime
from ticketops.domain.wire.syntax import NUMBER, STRING, Kind, Node, folded, parse, text_of
from ticketops.errors import WireError


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingItem:
    """One booking request in a show's queue. The defaults are Go's zero values."""

    id: str = ""
    event_id: str = ""
    """The show."""
    user_id: str = ""
    seat_numbers: tuple[str, ...] | None = None
    """None is Go's nil, written as null."""
    seat_count: int = 0
    total_amount: float = 0.0
    currency: str = ""
    metadata: Mapping[str, str] | None = None
    """None is Go's nil, written as null."""
    enqueued_at: WireTime = ZERO
    expires_at: WireTime = ZERO


class ItemText(NamedTuple):
    """An item in its bytes, read as far as it takes to put it into a queue."""

    data: bytes
    id: str
    event_id: str
    user_id: str
    expiry: tuple[int, int] | None
    """Where the value of ExpiresAt stands that counts; None where there is none."""

    @property
    def unfit(self) -> str:
        """Why no queue can take it though the decoder does; empty where one can."""
        if not self.id:
            return "the item has no ID"
        return "" if self.event_id else "the item names no show: it has no EventID"

    def expiring(self, at: WireTime) -> bytes:
        """The same bytes with another ExpiresAt."""
        return self.with_expiry(quoted(at))

    def with_expiry(self, value: bytes) -> bytes:
        """The same bytes with another ExpiresAt, as JSON has it."""
        if self.expiry:
            start, end = self.expiry
            return self.data[:start] + value + self.data[end:]
        end = self.data.rindex(b"}")
        comma = b"" if self.data[:end].rstrip(b" \t\r\n").endswith(b"{") else b","
        return self.data[:end] + comma + b'"ExpiresAt":' + value + self.data[end:]


def quoted(at: WireTime) -> bytes:
    """A time as JSON has it."""
    return f'"{at.text()}"'.encode()


_PAIRS: Final = rb"(?:%b:%b(?:,%b:%b)*+)?" % ((STRING,) * 4)
CANONICAL: Final = (
    rb'\{"ID":(?P<item_id>%(s)b),"EventID":(?P<event_id>%(s)b),"UserID":(?P<user_id>%(s)b),'
    rb'"SeatNumbers":(?:null|\[(?:%(s)b(?:,%(s)b)*+)?\]),"SeatCount":(?P<seats>0|-?[1-9][0-9]{0,17}),'
    rb'"TotalAmount":(?P<amount>%(n)b),"Currency":%(s)b,"Metadata":(?:null|\{%(pairs)b\}),'
    rb'"EnqueuedAt":"(?P<enqueued>%(t)b)","ExpiresAt":(?P<expiry>"(?P<expires>%(t)b)")\}'
) % {b"s": STRING, b"n": NUMBER, b"pairs": _PAIRS, b"t": scalars.PLAIN_TIME}
"""An item as the worker writes it: read at once; any other form is taken apart by `parse`."""
_CANONICAL: Final = re.compile(CANONICAL)


def encode_item(item: BookingItem) -> bytes:
    """The item as the worker's encoder writes it; WireError for an amount or a year that JSON cannot have."""
    members = (
        f'"ID":{scalars.string(item.id)}',
        f'"EventID":{scalars.string(item.event_id)}',
        f'"UserID":{scalars.string(item.user_id)}',
        f'"SeatNumbers":{scalars.strings(item.seat_numbers)}',
        f'"SeatCount":{item.seat_count}',
        f'"TotalAmount":{scalars.number(item.total_amount)}',
        f'"Currency":{scalars.string(item.currency)}',
        f'"Metadata":{scalars.table(item.metadata)}',
        f'"EnqueuedAt":"{item.enqueued_at.text()}"',
        f'"ExpiresAt":"{item.expires_at.text()}"',
    )
    return f"{{{','.join(members)}}}".encode()


def decode_item(data: bytes) -> BookingItem:
    """The item as the worker's decoder reads it; WireError says why it would refuse these bytes."""
    return item_of(data, [parse(data)])


def read_item(data: bytes) -> ItemText:
    """The item in its bytes; WireError says why the worker's decoder would refuse them."""
    if (found := _CANONICAL.fullmatch(data)) and is_sound(found):
        return text_of_match(found, data, 0)
    node = parse(data)
    item = item_of(data, [node])
    if node.kind is Kind.NULL:
        raise WireError("the item is null")
    expiries = list(node.members("ExpiresAt"))
    expiry = (expiries[-1].start, expiries[-1].end) if expiries else None
    return ItemText(data, item.id, item.event_id, item.user_id, expiry)


def is_sound(found: re.Match[bytes]) -> bool:
    """Whether an item of the canonical form has only values that its pattern cannot check: days and amounts."""
    try:
        datetime.fromisoformat(found["enqueued"].decode())
        datetime.fromisoformat(found["expires"].decode())
    except ValueError:
        return False
    return math.isfinite(float(found["amount"]))


def text_of_match(found: re.Match[bytes], data: bytes, start: int) -> ItemText:
    """The item of a canonical match, whose bytes begin at `start` of what was matched."""
    begin, end = found.span("expiry")
    item, show, user = found.group("item_id", "event_id", "user_id")
    return ItemText(data, text_of(item), text_of(show), text_of(user), (begin - start, end - start))


def item_of(data: bytes, nodes: list[Node]) -> BookingItem:
    """What Go makes of these values, one after the other into the same struct."""
    fields: dict[str, Any] = {}
    for node in nodes:
        fill(data, node, _FIELDS, fields, "the item")
    return BookingItem(**fields)


Reader = Callable[[bytes, Node, object], object]
"""Turns a value into a field's; it is given the field's former value. None for null leaves that as it is."""


def fill(data: bytes, node: Node, known: Mapping[str, tuple[str, Reader]], fields: dict[str, Any], what: str) -> None:
    """Read an object's members into fields, as Go fills a struct; WireError names the member that does not fit."""
    if node.kind is Kind.NULL:
        return
    if node.kind is not Kind.OBJECT:
        raise WireError(f"{what} is {node.kind}, not an object")
    for name, value in zip(node.names, node.values, strict=True):
        if (target := known.get(folded(name))) is None:
            continue
        attribute, reader = target
        try:
            fields[attribute] = reader(data, value, fields.get(attribute))
        except WireError as error:
            raise WireError(f"{name}: {error.what}", why=error.why) from None
        if fields[attribute] is None and reader not in NULLABLE:
            del fields[attribute]


def read_string(data: bytes, node: Node, former: object) -> object:
    """A Go string."""
    if node.kind is Kind.NULL:
        return former
    return text_of(_expect(data, node, Kind.STRING))


def read_integer(data: bytes, node: Node, former: object) -> object:
    """A Go int."""
    if node.kind is Kind.NULL:
        return former
    raw = _expect(data, node, Kind.NUMBER)
    if not raw.lstrip(b"-").isdigit():
        raise WireError("it is no integer", why=f"{_shown(raw)} has a fraction or an exponent")
    if len(raw) > 20 or int(raw) not in INT64:  # noqa: PLR2004 - digits of an int64 with its sign
        raise WireError("it is no integer", why=f"{_shown(raw)} does not fit 64 bits")
    return int(raw)


def read_float(data: bytes, node: Node, former: object) -> object:
    """A Go float64."""
    if node.kind is Kind.NULL:
        return former
    raw = _expect(data, node, Kind.NUMBER)
    value = float(raw)
    if not math.isfinite(value):
        raise WireError("it is no amount", why=f"{_shown(raw)} does not fit a float64")
    return value


def read_time(data: bytes, node: Node, former: object) -> object:
    """A Go time; its string is read without looking at escapes."""
    if node.kind is Kind.NULL:
        return former
    raw = _expect(data, node, Kind.STRING)
    return WireTime.parse(raw[1:-1].decode("utf-8", "replace"))


def read_strings(data: bytes, node: Node, former: object) -> object:
    """A Go []string; null is nil. A null element keeps what a former array had in its place, as Go's memory does."""
    if node.kind is Kind.NULL:
        return None
    _expect(data, node, Kind.ARRAY)
    kept = former if isinstance(former, tuple) else ()
    return tuple(
        read_string(data, value, kept[index] if index < len(kept) else "") for index, value in enumerate(node.values)
    )


def read_table(data: bytes, node: Node, former: object) -> object:
    """A Go map[string]string; null is nil, and a repeated map adds to the former."""
    if node.kind is Kind.NULL:
        return None
    _expect(data, node, Kind.OBJECT)
    merged = dict(former) if isinstance(former, dict) else {}
    merged |= {name: read_string(data, value, "") for name, value in zip(node.names, node.values, strict=True)}
    return merged


def _expect(data: bytes, node: Node, kind: Kind) -> bytes:
    if node.kind is not kind:
        raise WireError(f"it is {node.kind}, not {kind}")
    return node.of(data)


def _shown(raw: bytes) -> str:
    return raw[:40].decode("ascii", "replace")


NULLABLE: Final = frozenset({read_strings, read_table})
_FIELDS: Final[Mapping[str, tuple[str, Reader]]] = {
    "id": ("id", read_string),
    "eventid": ("event_id", read_string),
    "userid": ("user_id", read_string),
    "seatnumbers": ("seat_numbers", read_strings),
    "seatcount": ("seat_count", read_integer),
    "totalamount": ("total_amount", read_float),
    "currency": ("currency", read_string),
    "metadata": ("metadata", read_table),
    "enqueuedat": ("enqueued_at", read_time),
    "expiresat": ("expires_at", read_time),
}

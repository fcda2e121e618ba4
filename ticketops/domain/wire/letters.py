"""The booking worker's dead letter: as its encoder writes it and its decoder reads it."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ticketops.domain.wire import scalars
from ticketops.domain.wire.items import (
    CANONICAL,
    BookingItem,
    ItemText,
    Reader,
    encode_item,
    fill,
    is_sound,
    item_of,
    read_integer,
    read_item,
    read_string,
    read_table,
    read_time,
    text_of_match,
)
from ticketops.domain.wire.scalars import ZERO, WireTime
from ticketops.domain.wire.syntax import STRING, Kind, Node, folded, parse, text_of
from ticketops.errors import WireError


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingDeadLetter:
    """One failure of the booking worker. The defaults are Go's zero values."""

    id: str = ""
    """`dlq:<item ID>:<Unix nanoseconds>`."""
    original_item: BookingItem | None = None
    reason: str = ""
    error_message: str = ""
    retry_count: int = 0
    """Attempts that were made."""
    failed_at: WireTime = ZERO
    last_attempt_at: WireTime = ZERO
    metadata: Mapping[str, str] | None = None
    """event_id and user_id; `raw` or `raw_base64` where the worker of TicketOps found no item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterText:
    """A dead letter in its bytes, read as far as it is readable."""

    id: str = ""
    reason: str = ""
    error_message: str = ""
    retry_count: int | None = None
    """None where it is no integer."""
    failed_at: datetime | None = None
    """To the microsecond; None for Go's zero time and what is none."""
    last_attempt_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    item_data: bytes | None = None
    """The original item's bytes; None where it is null or absent."""
    item: ItemText | None = None
    """None where the worker could not take it back; `problem` says why."""
    problem: str = ""


class Movable(NamedTuple):
    """What a requeue needs of a dead letter."""

    item: ItemText | None
    """None where the worker could not take it back; `problem` says why."""
    reason: str
    problem: str = ""


RAW: Final = "raw"
"""Metadata beside a null item: what was in the queue and is no item, as text."""
RAW_BASE64: Final = "raw_base64"
"""The same where it is no UTF-8."""
_PAIRS: Final = rb"(?:%b:%b(?:,%b:%b)*+)?" % ((STRING,) * 4)
_CANONICAL: Final = re.compile(
    rb'\{"id":(?P<id>%(s)b),"original_item":(?P<item>%(item)b),"reason":(?P<reason>%(s)b),'
    rb'"error_message":(?P<message>%(s)b),"retry_count":(?P<retries>0|-?[1-9][0-9]{0,17}),'
    rb'"failed_at":"(?P<failed>%(t)b)","last_attempt_at":"(?P<last>%(t)b)",'
    rb'"metadata":(?P<metadata>null|\{%(pairs)b\})\}'
    % {b"s": STRING, b"item": CANONICAL, b"t": scalars.PLAIN_TIME, b"pairs": _PAIRS}
)
_GROUPS: Final = ("id", "item", "reason", "message", "retries", "failed", "last", "metadata")
_PAIR: Final = re.compile(rb"(%b):(%b)" % (STRING, STRING))


def letter_id(item_id: str, unix_nanoseconds: int) -> str:
    """The id of a dead letter."""
    return f"dlq:{item_id}:{unix_nanoseconds}"


def encode_letter(letter: BookingDeadLetter, item: bytes | None = None) -> bytes:
    """The dead letter as the worker's encoder writes it; `item` replaces the item by its very bytes."""
    if item is None:
        item = encode_item(letter.original_item) if letter.original_item else b"null"
    head = f'{{"id":{scalars.string(letter.id)},"original_item":'
    members = (
        f',"reason":{scalars.string(letter.reason)}',
        f'"error_message":{scalars.string(letter.error_message)}',
        f'"retry_count":{letter.retry_count}',
        f'"failed_at":"{letter.failed_at.text()}"',
        f'"last_attempt_at":"{letter.last_attempt_at.text()}"',
        f'"metadata":{scalars.table(letter.metadata)}',
    )
    return head.encode() + item + f"{','.join(members)}}}".encode()


def decode_letter(data: bytes) -> BookingDeadLetter:
    """The dead letter as the worker's decoder reads it; WireError says why it would refuse these bytes."""
    node, fields = parse(data), dict[str, Any]()
    fill(data, node, _FIELDS, fields, "the dead letter")
    items = list(node.members("original_item"))
    item_of(data, items)  # what a later null empties must be readable all the same
    if live := _since_null(items):
        fields["original_item"] = item_of(data, live)
    return BookingDeadLetter(**fields)


def read_letter(data: bytes) -> LetterText:
    """The dead letter as far as it is readable; WireError where it is not a JSON object."""
    if (found := _CANONICAL.fullmatch(data)) and is_sound(found):
        return _read_match(found)
    node = parse(data)
    if node.kind is not Kind.OBJECT:
        raise WireError(f"the dead letter is {node.kind}, not an object")
    return _read_node(data, node)


def read_movable(data: bytes) -> Movable:
    """The item of a dead letter, without what is only for people; WireError where it is not a JSON object."""
    if (found := _CANONICAL.fullmatch(data)) and is_sound(found):
        item = text_of_match(found, found["item"], found.start("item"))
        return Movable(None if item.unfit else item, text_of(found["reason"]), item.unfit)
    letter = read_letter(data)
    return Movable(letter.item, letter.reason, letter.problem)


def with_item(data: bytes, item: bytes) -> bytes:
    """The dead letter's bytes with another original item; WireError where it is not a JSON object."""
    node = parse(data)
    if node.kind is not Kind.OBJECT:
        raise WireError(f"the dead letter is {node.kind}, not an object")
    # Go reads repeated members into one struct, one after the other: all of them must say the same.
    for place in sorted(node.members("original_item"), key=lambda value: value.start, reverse=True):
        data = data[: place.start] + item + data[place.end :]
    if any(node.members("original_item")):
        return data
    end = data.rindex(b"}")
    return data[:end] + (b"," if node.names else b"") + b'"original_item":' + item + data[end:]


def _read_match(found: re.Match[bytes]) -> LetterText:
    id_, data, reason, message, retries, failed, last, metadata = found.group(*_GROUPS)
    item = text_of_match(found, data, found.start("item"))
    return LetterText(
        id=text_of(id_),
        reason=text_of(reason),
        error_message=text_of(message),
        retry_count=int(retries),
        failed_at=(died := _moment(failed)),
        last_attempt_at=died if last == failed else _moment(last),
        metadata={text_of(name): text_of(value) for name, value in _PAIR.findall(metadata)},
        item_data=data,
        item=None if item.unfit else item,
        problem=item.unfit,
    )


def _moment(raw: bytes) -> datetime | None:
    text = raw.decode()
    try:
        return None if text.startswith("0001") else datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or one that no calendar reaches
        return None


def _read_node(data: bytes, node: Node) -> LetterText:
    fields = _tolerant(data, node)
    failed, last = fields.get("failed_at"), fields.get("last_attempt_at")
    raw, item, problem = _read_original(data, list(node.members("original_item")))
    metadata = fields.get("metadata") or {}
    if raw is None and (kept := _kept(metadata)) is not None:
        raw, problem = kept, f"the queue held no item: {fields.get('error_message', '')}"
    return LetterText(
        id=fields.get("id", ""),
        reason=fields.get("reason", ""),
        error_message=fields.get("error_message", ""),
        retry_count=fields.get("retry_count"),
        failed_at=failed.moment() if failed else None,
        last_attempt_at=last.moment() if last else None,
        metadata=metadata,
        item_data=raw,
        item=item,
        problem=problem,
    )


def _kept(metadata: Mapping[str, str]) -> bytes | None:
    """The bytes that were in the queue, where they are no item."""
    if RAW in metadata:
        return metadata[RAW].encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(metadata[RAW_BASE64], validate=True) if RAW_BASE64 in metadata else None
    except binascii.Error:
        return None


def _tolerant(data: bytes, node: Node) -> dict[str, Any]:
    """The members that describe the failure; one that does not fit is left out: it does not keep an item back."""
    fields: dict[str, Any] = {}
    for name, value in zip(node.names, node.values, strict=True):
        attribute, reader = _FIELDS.get(folded(name), ("", None))
        if reader is not None:
            try:
                fields[attribute] = reader(data, value, fields.get(attribute))
            except WireError:
                continue
    return {attribute: value for attribute, value in fields.items() if value is not None}


def _read_original(data: bytes, nodes: list[Node]) -> tuple[bytes | None, ItemText | None, str]:
    """The item's bytes, the item, and why there is none."""
    live = _since_null(nodes)
    if not live:
        return None, None, "original_item is null" if nodes else "it has no original_item"
    raw = live[0].of(data)
    try:
        if len(live) > 1:
            raw = encode_item(item_of(data, live))
        item = read_item(raw)
    except WireError as error:
        return raw, None, str(error)
    return raw, None if item.unfit else item, item.unfit


def _since_null(nodes: list[Node]) -> list[Node]:
    """Go's null empties what came before it."""
    nulls = [index for index, node in enumerate(nodes) if node.kind is Kind.NULL]
    return nodes[nulls[-1] + 1 :] if nulls else nodes


_FIELDS: Final[Mapping[str, tuple[str, Reader]]] = {
    "id": ("id", read_string),
    "reason": ("reason", read_string),
    "error_message": ("error_message", read_string),
    "retry_count": ("retry_count", read_integer),
    "failed_at": ("failed_at", read_time),
    "last_attempt_at": ("last_attempt_at", read_time),
    "metadata": ("metadata", read_table),
}

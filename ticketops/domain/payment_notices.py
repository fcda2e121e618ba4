"""What payment-events tell: read from a record, or refused with the reason. The format: the wire contract."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import msgspec

from ticketops.domain.consuming import Record
from ticketops.errors import InvalidRecord

_LONGEST_ID = 100
"""Characters in bookings.payment_reference."""


T = TypeVar("T")


class NoticeType(StrEnum):
    """What happened to a payment."""

    AUTHORIZED = "PAYMENT_AUTHORIZED"
    CAPTURED = "PAYMENT_CAPTURED"
    FAILED = "PAYMENT_FAILED"
    REFUNDED = "PAYMENT_REFUNDED"


@dataclass(frozen=True, slots=True)
class PaymentNotice:
    """One event of a payment."""

    type: NoticeType
    payment_id: str
    booking_id: str
    failure_reason: str = ""


class _Wire(msgspec.Struct, rename="camel"):
    type: str
    payment_id: str
    booking_id: str
    failure_reason: str | None = None


_decoder = msgspec.json.Decoder(_Wire)


def read_notice(record: Record, max_bytes: int) -> PaymentNotice:
    """The notice in a record; InvalidRecord says why there is none."""
    wire = read_json(record, _decoder, max_bytes)
    if wire.type not in set(NoticeType):
        raise InvalidRecord(f"there is no payment event {wire.type[:50]!r}", why=f"there are {', '.join(NoticeType)}")
    for name, value in (("paymentId", wire.payment_id), ("bookingId", wire.booking_id)):
        if not value.strip() or "\0" in value or len(value) > _LONGEST_ID:
            raise InvalidRecord(f"{name} cannot be used", why=f"it must have 1 to {_LONGEST_ID} characters, and no NUL")
    return PaymentNotice(NoticeType(wire.type), wire.payment_id, wire.booking_id, wire.failure_reason or "")


def read_json(record: Record, decoder: "msgspec.json.Decoder[T]", max_bytes: int) -> T:
    """A record's value; InvalidRecord where it is absent, too large, not UTF-8, not JSON or of another shape."""
    if record.value is None:
        raise InvalidRecord("the record has no value", why="a tombstone tells nothing to this worker")
    if len(record.value) > max_bytes:
        raise InvalidRecord(
            "the record is too large", why=f"{len(record.value)} bytes, worker.max_bytes is {max_bytes}"
        )
    try:
        record.value.decode()
        return decoder.decode(record.value)
    except UnicodeDecodeError as error:
        raise InvalidRecord("the record is not UTF-8", why=str(error)) from error
    except msgspec.ValidationError as error:
        raise InvalidRecord("the record has another shape", why=str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRecord("the record is not JSON", why=str(error)) from error

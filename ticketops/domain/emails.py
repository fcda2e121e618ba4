"""Emails of bookings: what a record of booking-events asks for, and the job as the email workers read it.

Templates, variables and the format of an entry: the wire contract, "Email handlers" and "email_jobs".
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from ticketops.domain.bookings import BOOKING, moment
from ticketops.domain.consuming import Record
from ticketops.domain.drafts import as_json
from ticketops.domain.payment_notices import read_json
from ticketops.errors import InvalidRecord

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "ticketops/email-jobs")
_LONGEST_ADDRESS: Final = 254
"""Characters, RFC 5321."""
_ADDRESS: Final = re.compile(r"[^@\s\"\\,;<>\x00-\x1f\x7f]+@[^@\s\"\\,;<>\x00-\x1f\x7f]+")
"""The email workers cannot read an address with a quotation mark in it; the rest would end up in mail headers."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
"""As the services write them: seconds may be missing."""
_decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Template:
    """An email of one status."""

    name: str
    variables: Mapping[str, str]
    """Variable → field of the event."""


@dataclass(frozen=True, slots=True)
class BookingNotice:
    """What a record tells of a booking."""

    booking_id: str
    user_id: str
    status: str
    fields: Mapping[str, Any]

    @property
    def place(self) -> Mapping[str, str]:
        """What recipients are found by."""
        return {
            "user_id": self.user_id,
            "booking_id": self.booking_id,
            "reference": str(self.fields.get("bookingReference") or ""),
            "event_id": str(self.fields.get("eventId") or ""),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailJob:
    """One email to be sent."""

    public_id: UUID
    to: tuple[str, ...]
    template: str
    variables: Mapping[str, Any]
    priority: int
    max_retries: int

    @property
    def variables_text(self) -> str:
        """The variables as JSON, amounts with all their digits."""
        return as_json(self.variables).decode()

    def entry(self, at: datetime) -> bytes:
        """The entry of the Redis list, its fields in the email worker's order; `at` is when the job was made."""
        return as_json(
            {
                "id": str(self.public_id),
                "to": list(self.to),
                "cc": None,
                "bcc": None,
                "template_name": self.template,
                "variables": self.variables,
                "status": "pending",
                "priority": self.priority,
                "retry_count": 0,
                "max_retries": self.max_retries,
                "error_message": "",
                "processed_at": None,
                "sent_at": None,
                "created_at": moment(at),
                "updated_at": moment(at),
                "is_tracked": True,
                "queue_id": "",
                "processing_at": None,
                "completed_at": None,
            }
        )


def job_id(consumer: str, event_id: str) -> UUID:
    """The id of the job that an event makes: the same whenever the event comes."""
    return uuid5(_NAMESPACE, f"{consumer}\n{event_id}")


def read_booking(record: Record, max_bytes: int) -> BookingNotice | None:
    """The notice in a record; None for one that tells of no status (the second shape); InvalidRecord says why not."""
    fields = read_json(record, _decoder, max_bytes)
    status = fields.get("status")
    if status is None and isinstance(fields.get("type"), str):
        return None
    if not isinstance(status, str) or status not in BOOKING.states:
        raise InvalidRecord(f"there is no status {_shown(status)}", why="the record is of no known shape")
    for name in ("bookingId", "userId"):
        _check(fields, name, _is_filled, "text that is not empty")
    for name, (fits, what) in _OPTIONAL.items():
        if fields.get(name) is not None:
            _check(fields, name, fits, what)
    return BookingNotice(fields["bookingId"], fields["userId"], status, fields)


def variables_of(notice: BookingNotice, template: Template) -> dict[str, Any]:
    """The template's variables; null for a field that the event has not. Amounts that are text become numbers."""
    found: dict[str, Any] = {variable: notice.fields.get(name) for variable, name in template.variables.items()}
    amount = [variable for variable, name in template.variables.items() if name == "totalAmount"]
    return found | {variable: Decimal(found[variable]) for variable in amount if isinstance(found[variable], str)}


def check_addresses(addresses: Sequence[str]) -> tuple[str, ...]:
    """The addresses without repeats; InvalidRecord for one that cannot be written to."""
    for address in addresses:
        if len(address) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
            raise InvalidRecord("an address cannot be used", why=f"{_shown(address)} is none that email workers read")
    return tuple(dict.fromkeys(addresses))


def _check(fields: Mapping[str, Any], name: str, fits: Callable[[Any], bool], what: str) -> None:
    if not fits(fields.get(name)):
        raise InvalidRecord(f"{name} cannot be used", why=f"it must be {what}, and is {_shown(fields.get(name))}")


def _shown(value: object) -> str:
    return repr(value)[:60]


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_amount(value: object) -> bool:
    if isinstance(value, str):
        try:
            return len(value) < 40 and Decimal(value).is_finite()  # noqa: PLR2004 - no amount has so many digits
        except InvalidOperation:
            return False
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


def _is_time(value: object) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


_OPTIONAL: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "bookingReference": (_is_text, "text"),
    "eventId": (_is_text, "text"),
    "currency": (_is_text, "text"),
    "paymentReference": (_is_text, "text"),
    "cancellationReason": (_is_text, "text"),
    "failureReason": (_is_text, "text"),
    "totalAmount": (_is_amount, "a number"),
    "seatCount": (_is_count, "an integer"),
    "seatNumbers": (_is_texts, "a list of texts"),
    "confirmedAt": (_is_time, "a time"),
    "cancelledAt": (_is_time, "a time"),
}

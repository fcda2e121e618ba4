"""What the booking worker decides: of an item as it is taken, of a failed attempt, and whose turn it is.

A failed item is either tried again later or a dead letter; an item is dropped only where it expired before anybody
had it in hand, as the booking worker's own timeout handler does.
"""

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final, TypeAlias
from urllib.parse import quote

from ticketops.domain.consuming import Again, Dead, Failure, FailureKind, Patience, Reason, classify
from ticketops.domain.retry import RetryPolicy
from ticketops.domain.shards import rollout_bucket
from ticketops.domain.text import shorten
from ticketops.domain.wire.items import BookingItem, ItemText, decode_item, read_item
from ticketops.domain.wire.letters import RAW, RAW_BASE64, BookingDeadLetter, encode_letter, letter_id
from ticketops.domain.wire.scalars import WireTime
from ticketops.errors import TicketOpsError, WireError

_MESSAGE: Final = 1000
"""Characters of an error message in a dead letter."""
_SAME_MOMENT: Final = 0.0005
"""Seconds by which one reading of the queue's clock, in milliseconds, may differ from itself once it is converted."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Taken:
    """An item in a worker's hand, for as long as its lease lasts."""

    receipt: str
    """Names it among all that are in hand or wait."""
    hand: str
    """Whose hand."""
    attempt: int
    """1, 2, …; one that ended with its worker's death is counted too."""
    show: str
    data: bytes
    """As the queue held it."""
    first_taken: float
    """Unix seconds, on the queue's clock."""


@dataclass(frozen=True)
class BookingRequest:
    """What a processor is given: a booking that somebody asked for."""

    text: ItemText
    attempt: int
    """1, 2, …"""

    @property
    def id(self) -> str:
        """The item's id."""
        return self.text.id

    @property
    def event_id(self) -> str:
        """The show."""
        return self.text.event_id

    @property
    def user_id(self) -> str:
        """Who asked."""
        return self.text.user_id

    @property
    def data(self) -> bytes:
        """The item's JSON, as it was queued."""
        return self.text.data

    @cached_property
    def item(self) -> BookingItem:
        """Every field of it."""
        return decode_item(self.text.data)

    @property
    def key(self) -> str:
        """The same in every attempt, also after a requeue: an effect with this key must not happen twice."""
        return quote(self.text.id, safe="")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkPolicy:
    """How long the worker stays with an item."""

    max_attempts: int = 3
    """Attempts in all."""
    base: float = 5.0
    """Seconds; the waits are twice, four times, … as long."""
    cap: float = 30.0
    """Seconds, the longest wait."""
    circuit_patience: float = 600.0
    """Seconds that an item in hand waits for a circuit to close."""
    max_bytes: int = 1_000_000
    """Bytes of an item; a larger one is a dead letter."""
    expired_die: bool = False
    """True: an item that expired before its first attempt is a dead letter, not removed."""

    @property
    def patience(self) -> Patience:
        """The same in the words of all workers."""
        return Patience(RetryPolicy(self.max_attempts, 2 * self.base, self.cap, jitter=0.0), self.circuit_patience)


@dataclass(frozen=True, slots=True)
class Ready:
    """To be processed now."""

    taken: Taken
    request: BookingRequest


@dataclass(frozen=True, slots=True)
class Expired:
    """Its time passed before anybody tried it: removed, as the booking worker's timeout handler does."""

    taken: Taken
    text: ItemText


@dataclass(frozen=True, slots=True)
class Doomed:
    """It becomes a dead letter."""

    taken: Taken
    text: ItemText | None
    """None where it is no item."""
    reason: Reason
    message: str
    attempts: int
    """Attempts that were made."""


Triage: TypeAlias = Ready | Expired | Doomed


def triage(taken: Taken, now: datetime, policy: WorkPolicy) -> Triage:
    """What is to be done with an item that was taken at `now`."""
    text = _read(taken, policy)
    if isinstance(text, Doomed):
        return text
    made, expiry = taken.attempt - 1, expiry_of(text)
    held_before = now.timestamp() - taken.first_taken > _SAME_MOMENT
    if made >= policy.max_attempts:
        return Doomed(taken, text, Reason.RETRIES_EXCEEDED, f"attempt {made} ended with the worker that made it", made)
    if expiry is None or _seconds(expiry) > now.timestamp():
        return Ready(taken, BookingRequest(text, taken.attempt))
    if made or held_before or policy.expired_die:
        return Doomed(taken, text, Reason.TIMEOUT, f"it expired at {expiry.isoformat()}, after {made} attempts", made)
    return Expired(taken, text)


def _read(taken: Taken, policy: WorkPolicy) -> ItemText | Doomed:
    made = taken.attempt - 1
    if len(taken.data) > policy.max_bytes:
        why = f"it has {len(taken.data)} bytes, the limit is {policy.max_bytes}"
        return Doomed(taken, None, Reason.INVALID_DATA, why, made)
    try:
        text = read_item(taken.data)
    except WireError as error:
        return Doomed(taken, None, Reason.INVALID_DATA, str(error), made)
    return Doomed(taken, text, Reason.INVALID_DATA, text.unfit, made) if text.unfit else text


def _seconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1)


def expiry_of(text: ItemText) -> datetime | None:
    """When an item expires; None where it does not say so."""
    if text.expiry is None:
        return None
    raw = text.data[slice(*text.expiry)]
    return None if raw == b"null" else WireTime.parse(raw[1:-1].decode("utf-8", "replace")).moment()


def failure_of(error: BaseException) -> Failure:
    """What kind of failure a processor's exception is; what it does not say in our words may succeed later."""
    told = classify(error) if isinstance(error, TicketOpsError) else None
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return told or Failure(FailureKind.SERVICE, name, str(error) or name)


def judge(ready: Ready, failure: Failure, now: datetime, policy: WorkPolicy, retry_in: float = 0.0) -> Again | Doomed:
    """What follows from a failed attempt; `retry_in` in seconds is what an open circuit asks for."""
    taken = ready.taken
    waited = now.timestamp() - taken.first_taken
    verdict = policy.patience.judge(failure, taken.attempt, waited, 0.0)
    if isinstance(verdict, Dead):
        made = taken.attempt - (failure.kind is FailureKind.CIRCUIT_OPEN)
        return Doomed(taken, ready.request.text, verdict.reason, failure.message, made)
    return verdict if verdict.counts else replace(verdict, delay=max(1.0, min(retry_in, policy.cap)))


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter, ready to be written."""

    id: str
    body: bytes
    failed_at: int
    """Unix seconds."""


def letter_of(doomed: Doomed, now: datetime) -> Letter:
    """The dead letter as the booking worker writes it, with the attempts that were made.

    What is no item stands in the metadata, as text or in base64, beside a null item: the worker's decoder takes that,
    and `dlq show` and `dlq edit` have the bytes.
    """
    text, data = doomed.text, doomed.taken.data
    name = text.id if text and text.id else f"unreadable-{hashlib.sha256(data).hexdigest()[:16]}"
    moment = WireTime.of(now)
    id_ = letter_id(name, unix_nanoseconds(now))
    show = text.event_id if text and text.event_id else doomed.taken.show
    about = {"event_id": show, "user_id": text.user_id if text else ""}
    letter = BookingDeadLetter(
        id=id_,
        reason=doomed.reason.value,
        error_message=shorten(doomed.message, _MESSAGE),
        retry_count=doomed.attempts,
        failed_at=moment,
        last_attempt_at=moment,
        metadata=about if text else about | _kept(data),
    )
    return Letter(id_, encode_letter(letter, text.data if text else None), int(now.timestamp()))


def _kept(data: bytes) -> dict[str, str]:
    try:
        return {RAW: data.decode()}
    except UnicodeDecodeError:
        return {RAW_BASE64: base64.b64encode(data).decode()}


def unix_nanoseconds(moment: datetime) -> int:
    """A time as Go's UnixNano has it."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


@dataclass(frozen=True, slots=True)
class Marks:
    """What the worker notes beside an item in a show's queue."""

    item: str
    """Its id."""
    entered: int
    """Unix nanoseconds."""
    expires: int | None
    """Unix seconds; None where it never does."""


def marks_of(text: ItemText, now: datetime) -> Marks:
    """The notes of an item that is put back where it was taken from."""
    entered, expiry = decode_item(text.data).enqueued_at.moment(), expiry_of(text)
    return Marks(text.id, unix_nanoseconds(entered or now), None if expiry is None else _seconds(expiry))


def is_ours(show: str, percentage: int) -> bool:
    """True where the roll-out to `percentage` of the shows covers this one; its name may be no UTF-8."""
    if percentage >= 100:  # noqa: PLR2004 - all of a hundred
        return True
    return rollout_bucket(show.encode("utf-8", "replace").decode()) < percentage


class Turns:
    """Whose turn it is: the show that was served longest ago comes first; not for several threads at once."""

    def __init__(self) -> None:
        self._order: OrderedDict[str, None] = OrderedDict()

    def know(self, shows: Iterable[str]) -> None:
        """These shows may have items; new ones queue up behind the others."""
        found = dict.fromkeys(shows)
        for gone in [show for show in self._order if show not in found]:
            del self._order[gone]
        for show in found:
            self._order.setdefault(show)

    def next(self, limit: int, without: Collection[str] = ()) -> list[str]:
        """At most `limit` shows, in the order in which they are to be served."""
        found: list[str] = []
        for show in self._order:
            if len(found) >= limit:
                break
            if show not in without:
                found.append(show)
        return found

    def served(self, shows: Sequence[str], empty: Collection[str]) -> None:
        """Items of `shows` were taken, in this order; `empty` have none left."""
        for show in shows:
            if show in self._order:
                self._order.move_to_end(show)
        for show in empty:
            self._order.pop(show, None)

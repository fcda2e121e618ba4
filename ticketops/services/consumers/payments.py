"""`worker payments`: what payments tell moves bookings. The handlers: the wire contract, "Payment handlers"."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ticketops.domain.bookings import PaymentStatus
from ticketops.domain.consuming import Comparison, Failure, FailureKind, Handled, Outcome, Record
from ticketops.domain.drafts import Draft
from ticketops.domain.machine import Machine, Refusal, Why, decide
from ticketops.domain.payment_notices import NoticeType, PaymentNotice, read_notice
from ticketops.domain.subjects import CompensationType, Field, Subject
from ticketops.domain.tracing import trace_parent_of
from ticketops.errors import InvalidRecord, ServiceError
from ticketops.ports.services import SeatRelease
from ticketops.ports.transitions import TransitionStore, Unit
from ticketops.services.transitions.meter import Meter, NoMeter

TRIGGER = "payment-webhook"
_FORGET = 5000
"""Inbox entries dropped in one go."""
_FORGET_EVERY = 600.0
_NO_REASON = "payment failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentsSetup:
    """What the handler is told."""

    consumer: str
    """The name of its inbox."""
    max_bytes: int
    inbox_days: float
    meter: Meter = field(default_factory=NoMeter)
    """Hears of what was committed and of what was refused."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What a record says of itself, beside its payload."""

    event_id: str
    trace_parent: str | None


class _Undo(Exception):
    """Some records are refused: the transaction is made again without them."""


class PaymentsHandler:
    """Implements ports.RecordHandler."""

    def __init__(self, store: TransitionStore, seats: SeatRelease, setup: PaymentsSetup) -> None:
        self._store = store
        self._seats = seats
        self._setup = setup

    def check(self) -> None:
        """See ports.RecordHandler."""
        with self._store.unit() as unit:
            unit.now  # noqa: B018 - asks the database

    def alone(self, record: Record) -> bool:
        """See ports.RecordHandler."""
        return self._seats.calls_out and NoticeType.FAILED.value.encode() in (record.value or b"")

    def handle(self, records: Sequence[Record]) -> list[Outcome]:
        """See ports.RecordHandler."""
        outcomes: dict[int, Outcome] = {}
        notices: dict[int, PaymentNotice] = {}
        for number, record in enumerate(records):
            try:
                notices[number] = read_notice(record, self._setup.max_bytes)
            except InvalidRecord as error:
                outcomes[number] = _refused(error)
        while notices:
            try:
                outcomes |= self._together(records, notices, outcomes)
                break
            except _Undo:
                notices = {number: notice for number, notice in notices.items() if number not in outcomes}
        return [outcomes[number] for number in range(len(records))]

    def _together(
        self, records: Sequence[Record], notices: Mapping[int, PaymentNotice], refused: dict[int, Outcome]
    ) -> dict[int, Outcome]:
        """One transaction; where some are refused, they are added to `refused`, and nothing is written."""
        ids = {number: records[number].event_id for number in notices}
        with self._store.unit() as unit:
            fresh = set(unit.unseen(self._setup.consumer, list(ids.values())))
            found = unit.lock({notice.booking_id for notice in notices.values()})
            drafts: dict[str, Draft] = {}
            outcomes: dict[int, Outcome] = {}
            for number, notice in notices.items():
                if ids[number] not in fresh:
                    outcomes[number] = Handled("duplicate", ids[number])
                    continue
                fresh.discard(ids[number])
                parent = trace_parent_of(records[number].headers)
                outcomes[number] = self._one(unit, found, drafts, notice, _Source(ids[number], parent))
            failures = {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, Failure)}
            if failures:
                refused |= failures
                raise _Undo
            changes = [change for draft in drafts.values() if not (change := draft.change()).empty]
            if changes:
                unit.save(changes)
        self._setup.meter.moved(self._store.machine.name, changes)
        return outcomes

    def _one(
        self,
        unit: Unit,
        found: Mapping[str, Subject],
        drafts: dict[str, Draft],
        notice: PaymentNotice,
        source: "_Source",
    ) -> Outcome:
        subject = found.get(notice.booking_id)
        if subject is None:
            return _unknown(notice)
        draft = drafts.get(subject.key)
        if draft is None:
            draft = drafts[subject.key] = unit.draft(subject, triggered_by=TRIGGER)
        draft.trace_parent = source.trace_parent
        outcome = apply(self._store.machine, draft, notice, lambda: self._release(draft, notice, source.event_id))
        if isinstance(outcome, Refusal):
            self._setup.meter.refused(self._store.machine.name, outcome)
            return _refused(InvalidRecord("the booking cannot take it", why=str(outcome)))
        return outcome

    def _release(self, draft: Draft, notice: PaymentNotice, event_id: str) -> None:
        """Seats are released, or somebody is left to do it later; the rest goes on either way."""
        try:
            event = self._seats.release(draft.subject, event_id)
        except ServiceError as error:
            draft.compensate(
                CompensationType.RELEASE_SEATS,
                reference_id=draft.subject.event_id or "",
                error=str(error),
                payload=notice.payment_id,
            )
            return
        if event is not None:
            draft.emit(event)

    def decide(self, record: Record) -> Outcome:
        """See ports.RecordHandler."""
        try:
            notice = read_notice(record, self._setup.max_bytes)
        except InvalidRecord as error:
            return _refused(error)
        draft = self._draft(notice)
        if draft is None:
            return _unknown(notice)
        outcome = apply(self._store.machine, draft, notice, lambda: None)
        if isinstance(outcome, Refusal):
            return _refused(InvalidRecord("the booking cannot take it", why=str(outcome)))
        return outcome

    def expect(self, record: Record) -> Mapping[str, str] | None:
        """See ports.RecordHandler."""
        try:
            notice = read_notice(record, self._setup.max_bytes)
        except InvalidRecord:
            return None
        draft = self._draft(notice)
        if draft is None or not isinstance(apply(self._store.machine, draft, notice, lambda: None), Handled):
            return None
        return _told(draft.subject)

    def compare(self, record: Record, expected: Mapping[str, str]) -> Comparison:
        """See ports.RecordHandler."""
        notice = read_notice(record, self._setup.max_bytes)
        booking = self._booking(notice)
        told = _told(booking) if booking else {}
        machine = self._store.machine
        later = machine.reaches(expected["status"], told.get("status", ""))
        same = told.get("status") == expected["status"]
        agrees = later and (not same or told.get("payment_status") == expected["payment_status"])
        return Comparison(expected, told, agrees=agrees)

    def _draft(self, notice: PaymentNotice) -> Draft | None:
        booking = self._booking(notice)
        return Draft(self._store.machine, booking, datetime.now(UTC), triggered_by=TRIGGER) if booking else None

    def _booking(self, notice: PaymentNotice) -> Subject | None:
        """The one that `Unit.lock` finds: by its key, in any spelling of it, and by nothing else."""
        text = notice.booking_id
        for booking in self._store.find(text):
            if booking.key == text or text not in {booking.reference, booking.payment_reference}:
                return booking
        return None

    def after(self) -> float:
        """See ports.RecordHandler."""
        full = self._store.forget(self._setup.inbox_days, _FORGET) >= _FORGET
        return 0.0 if full else _FORGET_EVERY

    def close(self) -> None:
        """See ports.RecordHandler."""
        self._store.close()


def apply(machine: Machine, draft: Draft, notice: PaymentNotice, release: Callable[[], None]) -> Outcome | Refusal:
    """What a notice does to a booking; the draft is as it was where it does nothing."""
    if notice.type is NoticeType.REFUNDED:
        return _refund(draft)
    found = decide(machine, draft.subject.state, notice.type.value, draft.at)
    refusal = found if isinstance(found, Refusal) else None
    if notice.type is NoticeType.FAILED:
        return _fail(draft, notice, refusal, release)
    return _move(draft, notice, refusal)


_STATUS = {NoticeType.AUTHORIZED: PaymentStatus.PROCESSING, NoticeType.CAPTURED: PaymentStatus.CAPTURED}
_WORD = {NoticeType.AUTHORIZED: "authorized", NoticeType.CAPTURED: "confirmed"}


def _move(draft: Draft, notice: PaymentNotice, refusal: Refusal | None) -> Outcome | Refusal:
    before = draft.subject
    if refusal is not None:
        if refusal.why in {Why.ALREADY, Why.OVERTAKEN}:
            return Handled("ignored", f"{notice.type} in state {before.state}")
        return refusal
    if not _pays(before, _STATUS[notice.type]):
        return _out_of_order(notice.type, before)
    draft.set({Field.PAYMENT_STATUS: _STATUS[notice.type].value, Field.PAYMENT_REFERENCE: notice.payment_id})
    draft.fire(notice.type.value, notice.failure_reason)
    return Handled(_WORD[notice.type], before.key)


def _fail(
    draft: Draft, notice: PaymentNotice, refusal: Refusal | None, release: Callable[[], None]
) -> Outcome | Refusal:
    if refusal is not None and refusal.why is Why.TERMINAL:
        return Handled("ignored", f"{notice.type} in state {draft.subject.state}")
    if refusal is not None and refusal.why is not Why.ALREADY:
        return refusal
    if not _pays(draft.subject, PaymentStatus.FAILED):
        return _out_of_order(notice.type, draft.subject)
    reason = notice.failure_reason or _NO_REASON
    draft.set({Field.PAYMENT_STATUS: PaymentStatus.FAILED.value, Field.PAYMENT_REFERENCE: notice.payment_id})
    if refusal is None:
        draft.fire(notice.type.value, reason)
    release()
    draft.fire("SYSTEM_CANCEL", reason)
    return Handled("cancelled", draft.subject.key)


def _refund(draft: Draft) -> Outcome:
    if draft.subject.payment_status == PaymentStatus.REFUNDED:
        return Handled("ignored", "it is refunded already")
    if not draft.subject.payment_status or not _pays(draft.subject, PaymentStatus.REFUNDED):
        return _out_of_order(NoticeType.REFUNDED, draft.subject)
    draft.set({Field.PAYMENT_STATUS: PaymentStatus.REFUNDED.value})
    return Handled("refunded", draft.subject.key)


def _pays(booking: Subject, target: PaymentStatus) -> bool:
    """True where the payment may come to be `target`, or is it; a booking that tells nothing of its payment may."""
    status = booking.payment_status
    if not status or status == target:
        return True
    return status in set(PaymentStatus) and PaymentStatus(status).allows(target)


def _out_of_order(notice: NoticeType, booking: Subject) -> Failure:
    why = f"{notice} while the payment is {booking.payment_status or 'not known'}"
    return _refused(InvalidRecord("the booking cannot take it", why=why))


def _told(subject: Subject) -> Mapping[str, str]:
    return {"status": subject.state, "payment_status": subject.payment_status or ""}


def _unknown(notice: PaymentNotice) -> Failure:
    return _refused(InvalidRecord("there is no such booking", why=notice.booking_id))


def _refused(error: InvalidRecord) -> Failure:
    return Failure(FailureKind.POISON, f"{type(error).__module__}.{type(error).__qualname__}", str(error))

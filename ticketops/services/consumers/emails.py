"""`worker emails`: what becomes of a booking is told by email. The handlers: the wire contract, "Email handlers"."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from ticketops.domain.consuming import Comparison, Failure, Handled, Outcome, Record, classify
from ticketops.domain.emails import (
    BookingNotice,
    EmailJob,
    Template,
    check_addresses,
    job_id,
    read_booking,
    variables_of,
)
from ticketops.errors import (
    BackendError,
    BackendUnavailable,
    DeniedError,
    InvalidRecord,
    SchemaError,
    ServiceRefused,
    TicketOpsError,
)
from ticketops.ports.emails import EmailJobs, EmailQueue
from ticketops.ports.services import Recipients
from ticketops.services.consumers.lost_jobs import LostJobs

_FORGET = 5000
_FORGET_EVERY = 600.0
_LATE = 2.0
"""Seconds after which a job that is not delivered is nobody's in hand any more."""
_LOOK_EVERY = 1.0
_REST = 5.0
"""Seconds for which a list that could not be reached is left to the one who looks after late jobs."""
_CHUNK = 500


@dataclass(slots=True)
class ListHealth:
    """What the handlers of a process know of the list."""

    rest_until: float = 0.0
    clock: Callable[[], float] = time.monotonic

    @property
    def rests(self) -> bool:
        """True while nobody but the one who looks after late jobs should try it."""
        return self.clock() < self.rest_until

    def failed(self) -> None:
        """It could not be reached."""
        self.rest_until = self.clock() + _REST


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailsSetup:
    """What the handler is told."""

    consumer: str
    """The name of its inbox."""
    templates: Mapping[str, Template]
    """Status → template."""
    max_bytes: int
    inbox_days: float
    priority: int
    max_retries: int
    health: ListHealth = field(default_factory=ListHealth)


class EmailsHandler:
    """Implements ports.RecordHandler."""

    def __init__(self, jobs: EmailJobs, queue: EmailQueue, recipients: Recipients, setup: EmailsSetup) -> None:
        self._jobs = jobs
        self._queue = queue
        self._recipients = recipients
        self._setup = setup
        self._forget_at = 0.0
        self._lost = LostJobs(jobs, queue, setup.consumer, setup.health.clock)

    def check(self) -> None:
        """See ports.RecordHandler."""
        self._jobs.check()
        self._recipients.check()

    def alone(self, record: Record) -> bool:  # noqa: ARG002 - the same for each
        """See ports.RecordHandler."""
        return self._recipients.calls_out

    def handle(self, records: Sequence[Record]) -> list[Outcome]:
        """See ports.RecordHandler."""
        made = [self._made(record) for record in records]
        jobs: dict[str, EmailJob | None] = {}
        for record, (outcome, job) in zip(records, made, strict=True):
            if isinstance(outcome, Handled):
                jobs.setdefault(record.event_id, job)
        noted = self._jobs.add(self._setup.consumer, jobs) if jobs else {}
        self._deliver(
            [(job.public_id, job.entry(noted[event])) for event, job in jobs.items() if job and event in noted]
        )
        outcomes: list[Outcome] = []
        for record, (outcome, _) in zip(records, made, strict=True):
            new = isinstance(outcome, Failure) or noted.pop(record.event_id, None) is not None
            outcomes.append(outcome if new else Handled("duplicate", record.event_id))
        return outcomes

    def _made(self, record: Record) -> tuple[Outcome, EmailJob | None]:
        """What comes of a record, and its email; raises what may pass."""
        try:
            notice = read_booking(record, self._setup.max_bytes)
            template = None if notice is None else self._setup.templates.get(notice.status)
            if notice is None or template is None or not template.name:
                return Handled("ignored", "no email for it"), None
            return Handled("email", template.name), self._job(record, notice, template)
        except (InvalidRecord, ServiceRefused) as error:
            failure = classify(error)
            if failure is None:
                raise
            return failure, None

    def _job(self, record: Record, notice: BookingNotice, template: Template) -> EmailJob:
        to = check_addresses(self._recipients.find(notice.place))
        if not to:
            raise ServiceRefused(
                "there is nobody to write to", why=f"no address of user {notice.user_id[:60]} is known"
            )
        return EmailJob(
            public_id=job_id(self._setup.consumer, record.event_id),
            to=to,
            template=template.name,
            variables=variables_of(notice, template),
            priority=self._setup.priority,
            max_retries=self._setup.max_retries,
        )

    def _deliver(self, entries: Sequence[tuple[UUID, bytes]]) -> None:
        """At once where that is possible; what is not delivered now is by `after`, since its row says so."""
        if not entries or self._setup.health.rests:
            return
        try:
            self._push(entries)
        except TicketOpsError:  # `after` meets the same, and reports it
            self._setup.health.failed()

    def _push(self, entries: Sequence[tuple[UUID, bytes]]) -> None:
        self._queue.push(entries)
        self._jobs.delivered([public_id for public_id, _ in entries])

    def after(self) -> float:
        """See ports.RecordHandler: deliver what has a row and perhaps no entry."""
        late = self._jobs.undelivered(_CHUNK, _LATE)
        with _room_awaited():
            if late:
                self._push(late)
            self._lost.look()
        now = self._setup.health.clock()
        if now >= self._forget_at and self._jobs.forget(self._setup.inbox_days, _FORGET) < _FORGET:
            self._forget_at = now + _FORGET_EVERY
        return 0.0 if len(late) == _CHUNK else _LOOK_EVERY

    def decide(self, record: Record) -> Outcome:
        """See ports.RecordHandler."""
        return self._made(record)[0]

    def expect(self, record: Record) -> Mapping[str, str] | None:
        """See ports.RecordHandler."""
        try:
            notice = read_booking(record, self._setup.max_bytes)
        except InvalidRecord:
            return None
        template = None if notice is None else self._setup.templates.get(notice.status)
        if notice is None or template is None or not template.name:
            return None
        return {"template": template.name, "reference": notice.place["reference"], "jobs": "1"}

    def compare(self, record: Record, expected: Mapping[str, str]) -> Comparison:  # noqa: ARG002 - `expected` says all
        """See ports.RecordHandler."""
        count = self._jobs.count(expected["template"], expected["reference"])
        return Comparison(expected, {**expected, "jobs": str(count)}, agrees=count == 1)

    def close(self) -> None:
        """See ports.RecordHandler."""
        self._jobs.close()
        self._queue.close()
        self._recipients.close()


@contextmanager
def _room_awaited() -> Iterator[None]:
    """Redis that has no room left takes entries again when somebody has made some."""
    try:
        yield
    except (DeniedError, SchemaError):
        raise
    except BackendError as error:
        raise BackendUnavailable("Redis", why=str(error), hint=error.hint) from error

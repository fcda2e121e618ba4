"""What should have happened and did not, in words, with the command to run next; takes `now`."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.history import Life, faults
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.outbox import EventRow, Status
from ticketops.domain.text import shorten
from ticketops.domain.trace.facts import Ended, Expectations, Facts, Reader, Record, record_of

_SETTLED: Final = timedelta(seconds=10)
"""What is younger may still be under way between two systems."""
_TAKEN: Final = timedelta(minutes=10)
"""A worker that has taken an entry leaves its row pending until it begins."""
_SHOWN: Final = 120
"""Characters of an error text."""
_HOPELESS: Final = frozenset({"FAILED", "MANUAL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One thing that is missing, stuck or lost."""

    grade: Grade
    """BAD: it will not go on by itself; WARN: it waits; UNKNOWN: it could not be told."""
    text: str
    next: str = ""
    """The command to run next; empty where there is none."""


def gaps(facts: Facts, expected: Expectations, now: datetime) -> tuple[Gap, ...]:
    """Every gap, in the order of cause and effect."""
    return tuple(_Gaps(facts, expected, now).all())


@dataclass(frozen=True, slots=True)
class _Gaps:
    facts: Facts
    expected: Expectations
    now: datetime

    def all(self) -> Iterator[Gap]:
        yield from self._history()
        yield from self._stuck()
        yield from self._unwritten()
        for event in self.facts.events or ():
            yield from self._event(event)
        for record in self.facts.records or ():
            yield from self._unread(record)
        for found in self.facts.letters.values():
            yield from map(_letter, found.letters)
        yield from self._compensations()
        yield from self._emails()

    def _history(self) -> Iterator[Gap]:
        """What breaks the machine's table, where the whole history was read."""
        booking, moves = self.facts.identity.booking, self.facts.transitions
        if moves is None or (booking is None and not moves):
            return
        life = Life(
            key=booking.key if booking else moves[0].key,
            transitions=tuple(moves),
            state=booking.state if booking else None,
            created_at=booking.created_at if booking else None,
            updated_at=booking.updated_at if booking else None,
        )
        days = self.expected.history_days
        kept = self.now - timedelta(days=days) if days else None
        command = f"ticketops state history {shlex.quote(life.key)}"
        for fault in faults(self.expected.machine, life, kept_since=kept, settled=self.now - _SETTLED):
            yield Gap(grade=Grade.WARN, text=f"history: {fault.flaw.value}: {fault.text}", next=command)

    def _stuck(self) -> Iterator[Gap]:
        booking = self.facts.identity.booking
        if booking is None:
            return
        machine = self.expected.machine
        over = booking.state in machine.terminal | machine.success
        if booking.expires_at and booking.expires_at < self.now and booking.state in machine.expiring:
            late = span(self.now - booking.expires_at)
            text = f"it expired {late} ago and is still {booking.state}"
            yield Gap(grade=Grade.WARN, text=text, next="ticketops state expire --dry-run")
        limit = self.expected.limits.get(booking.state)
        moves = self.facts.transitions or ()
        since = moves[-1].at if moves else booking.updated_at or booking.created_at
        if over or limit is None or since is None or (self.now - since).total_seconds() <= limit:
            return
        text = f"stuck: {booking.state} for {span(self.now - since)}, the limit is {span(timedelta(seconds=limit))}"
        yield Gap(grade=Grade.WARN, text=text, next=f"ticketops state stuck --state {shlex.quote(booking.state)}")

    def _unwritten(self) -> Iterator[Gap]:
        """Transitions into states that are announced, of which no event was ever written."""
        machine, events = self.expected.machine, self.facts.events
        if events is None:
            return
        written = {event.event_type for event in events if event.aggregate_type == machine.aggregate_type}
        days = self.expected.outbox_days
        for move in self.facts.transitions or ():
            kind = machine.announced.get(move.target)
            forgotten = bool(days) and move.at < self.now - timedelta(days=days)
            if kind and kind not in written and not forgotten and move.at < self.now - _SETTLED:
                written.add(kind)
                text = f"{move.target} since {clock(move.at)}, and no {kind} was written to the outbox"
                yield Gap(grade=Grade.WARN, text=text)

    def _event(self, event: EventRow) -> Iterator[Gap]:
        name = f"outbox event {event.event_type} {event.id}"
        if event.status is Status.PUBLISHED:
            yield from self._unrecorded(event, name)
        elif event.failure or event.status is Status.FAILED:
            state = event.failure.value if event.failure else "failed"
            error = f": {shorten(event.last_error, _SHOWN)}" if event.last_error else ""
            text = f"{name} is not published: {state} after {event.retry_count} attempts{error}"
            yield Gap(grade=Grade.BAD, text=text, next=f"ticketops outbox show {event.id}")
        elif event.created_at and (self.now - event.created_at).total_seconds() > self.expected.outbox_wait:
            text = f"{name} has waited in the outbox for {span(self.now - event.created_at)}"
            yield Gap(grade=Grade.WARN, text=text, next="ticketops relay status")

    def _unrecorded(self, event: EventRow, name: str) -> Iterator[Gap]:
        """Published, and there is no record of it where it should be."""
        records = self.facts.records
        if records is None:
            return
        found = record_of(event, records)
        search = next((one for one in self.facts.searches if one.event_id == str(event.id)), None)
        at = f" {clock(event.published_at)}" if event.published_at else ""
        if not found and search is not None and search.ended is not Ended.FOUND:
            place = search.topic if search.partition is None else f"{search.topic}, partition {search.partition}"
            why = f"{search.ended.value}, {search.read} records read"
            told = search.ended in {Ended.PAST, Ended.END, Ended.NO_TOPIC}
            text = f"{name} was published{at}, and its record was not found in {place}: {why}"
            yield Gap(grade=Grade.BAD if told else Grade.UNKNOWN, text=text, next=_replay(event) if told else "")
        for record in found:
            if search is not None and search.partition not in {None, record.partition}:
                text = (
                    f"record {record.position} is not in partition {search.partition}, where its key belongs: "
                    "another partitioner wrote it, or the topic had fewer partitions then"
                )
                yield Gap(grade=Grade.WARN, text=text, next="ticketops doctor")

    def _unread(self, record: Record) -> Iterator[Gap]:
        consumers = self.facts.consumers
        if consumers is None:
            return
        known = {reader.group: reader for reader in consumers.of(record)}
        wanted = self.expected.groups.get(record.topic, "")
        if wanted in consumers.members and wanted not in known:
            known[wanted] = Reader(
                group=wanted, topic=record.topic, partition=record.partition, committed=None, end=None,
                members=consumers.members[wanted],
            )  # fmt: skip
        elif wanted and wanted not in {*known, *consumers.silent}:
            text = f"{self._published(record)}; group {wanted}, which should read it, is not known to Kafka"
            yield Gap(grade=Grade.BAD, text=text, next="ticketops lag list")
        for reader in known.values():
            if reader.committed is None or reader.committed <= record.offset:
                yield self._behind(record, reader)

    def _behind(self, record: Record, reader: Reader) -> Gap:
        behind = "has committed nothing there"
        if reader.committed is not None:
            lag = None if reader.end is None else max(reader.end - reader.committed, 0)
            behind = "has not read it" + ("" if lag is None else f": {lag:,} behind")
        members = "" if reader.members else ", and nobody is in the group"
        text = f"{self._published(record)}; group {reader.group} {behind}{members}"
        return Gap(grade=Grade.WARN, text=text, next=f"ticketops lag show {shlex.quote(reader.group)}")

    def _published(self, record: Record) -> str:
        events = (event for event in self.facts.events or () if record in record_of(event, [record]))
        event = next(events, None)
        place = f"partition {record.partition} offset {record.offset}"
        if event is None or event.published_at is None:
            at = f" {clock(record.at)}" if record.at else ""
            return f"record of{at} in {record.topic}, {place}"
        return f"outbox event {event.event_type} published {clock(event.published_at)}, {place}"

    def _compensations(self) -> Iterator[Gap]:
        for row in self.facts.compensations or ():
            name, command = f"compensation {row.type} {row.id}", f"ticketops dlq show {shlex.quote(row.id)}"
            if row.status in _HOPELESS:
                error = f": {shorten(row.error, _SHOWN)}" if row.error else ""
                yield Gap(grade=Grade.BAD, text=f"{name} is {row.status}{error}", next=command)
            elif row.status == "PENDING" and row.next_retry_at is None:
                text = f"{name} has no next_retry_at, so the service never picks it"
                yield Gap(grade=Grade.BAD, text=text, next="ticketops dlq doctor --queue compensations")
            elif row.status in {"PENDING", "RETRYING"}:
                yield Gap(grade=Grade.WARN, text=f"{name} is {row.status}: it is not done yet")

    def _emails(self) -> Iterator[Gap]:
        known = self.facts.entries if self.facts.entries and self.facts.entries.whole else None
        for job in self.facts.emails or ():
            old = job.created_at is not None and self.now - job.created_at > _TAKEN
            if job.status == "failed":
                error = f": {shorten(job.error, _SHOWN)}" if job.error else ""
                yield Gap(grade=Grade.BAD, text=f"email {job.template} {job.id} failed{error}")
            elif job.status == "pending" and old and known is not None and job.id not in known.ids:
                text = f"email {job.template} {job.id} has no entry in Redis, so it is never sent"
                yield Gap(grade=Grade.BAD, text=text, next="ticketops doctor")
        yield from self._unmade()

    def _unmade(self) -> Iterator[Gap]:
        """Records that were read and should have made an email, more than there are emails."""
        emails, topic = self.facts.emails, self.expected.emails_from
        group = self.expected.groups.get(topic, "")
        if emails is None or not group:
            return
        told = [record for record in self._read_by(group) if record.topic == topic and not record.replay]
        asked = [record for record in told if _status(record) in self.expected.email_statuses]
        if len({_status(record) for record in asked}) > len(emails):
            text = (
                f"group {group} has read {len(asked)} records that ask for an email, and there are {len(emails)} jobs"
            )
            yield Gap(grade=Grade.WARN, text=text, next="ticketops dlq list --queue emails")

    def _read_by(self, group: str) -> Iterator[Record]:
        consumers = self.facts.consumers
        for record in self.facts.records or ():
            for reader in consumers.of(record) if consumers else ():
                if reader.group == group and (reader.committed or 0) > record.offset:
                    yield record


def _letter(letter: DeadLetter) -> Gap:
    why = shorten(letter.error_message or letter.problem, _SHOWN)
    text = f"dead letter in queue {letter.queue}: {letter.reason or 'no reason told'}" + (f": {why}" if why else "")
    return Gap(grade=Grade.BAD, text=text, next=f"ticketops dlq show {shlex.quote(letter.id)}")


def _replay(event: EventRow) -> str:
    return f"ticketops outbox replay {event.id} --dry-run"


def _status(record: Record) -> str:
    try:
        value = msgspec.json.decode(record.value or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    status = value.get("status") if isinstance(value, dict) else None
    return status if isinstance(status, str) else ""


def clock(moment: datetime) -> str:
    """The time of a day in UTC, to the second."""
    return moment.strftime("%H:%M:%S")


def span(length: timedelta) -> str:
    """In two units at most: 12s, 4m12s, 3h02m, 5d04h."""
    seconds = max(int(length.total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if not minutes:
        return f"{seconds}s"
    if not hours:
        return f"{minutes}m{seconds % 60:02}s"
    return f"{hours}h{minutes % 60:02}m" if not days else f"{days}d{hours % 24:02}h"

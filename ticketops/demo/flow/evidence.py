"""What is there after the flow: read from the engines, and told by TicketOps' own commands."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, LiteralString

import psycopg
from redis import Redis

from ticketops.demo.commands import run
from ticketops.demo.flow.proof import BookingFacts, Facts, FlowProof, prove
from ticketops.demo.flow.run import Flow
from ticketops.domain.records import topic_of
from ticketops.errors import BackendError

_BREACHED: Final = 8
"""The exit code of `state verify` where a history is wrong."""
_BOOKINGS: LiteralString = """
SELECT booking_id::text, status, payment_status, payment_reference, confirmed_at IS NOT NULL,
  cancelled_at IS NOT NULL, cancellation_reason
FROM booking.bookings WHERE booking_id = ANY (%s::uuid[])"""
_HISTORY: LiteralString = """
SELECT booking_id::text, event, to_state FROM booking.booking_state_transitions
WHERE booking_id = ANY (%s::uuid[]) ORDER BY id"""
_EVENTS: LiteralString = """
SELECT aggregate_id, event_type, id::text FROM booking.outbox_events
WHERE aggregate_type = %s AND aggregate_id = ANY (%s) ORDER BY seq"""
_INBOX: LiteralString = "SELECT event_id FROM ticketops.inbox WHERE consumer = %s"
_JOBS: LiteralString = (
    "SELECT public_id::text, template_name, variables ->> 'booking_reference' FROM booking.email_jobs"
)
_COMPENSATIONS: LiteralString = """
SELECT b.booking_id::text FROM booking.failed_compensations AS c JOIN booking.bookings AS b ON b.id = c.booking_id
WHERE b.booking_id = ANY (%s::uuid[]) AND c.compensation_type = 'RELEASE_SEATS'"""

_Connection = psycopg.Connection[tuple[Any, ...]]


def judge(flow: Flow) -> FlowProof:
    """The proof, once the flow is quiet."""
    return prove(flow.orders, flow.sender.sent, facts(flow), flow.config.worker.payments.group)


def facts(flow: Flow) -> Facts:
    """Everything that is there of the flow's bookings, and what commands say of it."""
    try:
        with psycopg.connect(flow.config.postgres.url, autocommit=True) as connection:
            return _facts(flow, connection)
    except psycopg.Error as error:
        raise BackendError("the demo's database refused a call", why=str(error).strip()) from error


def _facts(flow: Flow, connection: _Connection) -> Facts:
    keys, config = list(flow.orders), flow.config
    payments, emails = config.worker.payments, config.worker.emails
    own = _events(connection, "BOOKING", keys)
    told = _events(connection, "PAYMENT", keys)
    topics = {topic_of("BOOKING", config.outbox.topics): own, topic_of("PAYMENT", config.outbox.topics): told}
    outbox, dead, flawed = _commands(flow)
    return Facts(
        bookings=_bookings(connection, keys),
        history=_grouped((key, (event, state)) for key, event, state in connection.execute(_HISTORY, (keys,))),
        announced=_grouped((key, kind) for key, kind, _ in own),
        payment_events=_grouped((key, kind) for key, kind, _ in told),
        event_ids={part.group: frozenset(row[2] for row in topics[part.topic]) for part in (payments, emails)},
        inbox={part.group: _inbox(connection, part.group) for part in (payments, emails)},
        jobs=[(job, template, reference) for job, template, reference in connection.execute(_JOBS)],
        entries=_entries(flow),
        released=dict(flow.seats.released),
        compensations=Counter(key for (key,) in connection.execute(_COMPENSATIONS, (keys,))),
        dead=[letter["origin"] for letter in dead if letter["queue"] == "payments"],
        dead_elsewhere=sum(letter["queue"] != "payments" for letter in dead) + outbox["dead_letters"],
        flawed=[f"{fault['key']}: {fault['flaw']}" for fault in flawed if fault["key"] in flow.orders],
        pending=outbox["pending"],
    )


def _bookings(connection: _Connection, keys: Sequence[str]) -> Mapping[str, BookingFacts]:
    return {
        key: BookingFacts(
            state=state,
            payment_status=payment,
            payment_reference=reference,
            confirmed=confirmed,
            cancelled=cancelled,
            reason=reason,
        )
        for key, state, payment, reference, confirmed, cancelled, reason in connection.execute(_BOOKINGS, (keys,))
    }


def _events(connection: _Connection, kind: str, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    return connection.execute(_EVENTS, (kind, keys)).fetchall()


def _inbox(connection: _Connection, group: str) -> frozenset[str]:
    return frozenset(event_id for (event_id,) in connection.execute(_INBOX, (group,)))


def _grouped(rows: Iterator[tuple[str, Any]]) -> Mapping[str, Sequence[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for key, value in rows:
        found[key].append(value)
    return found


def _entries(flow: Flow) -> list[str]:
    with Redis.from_url(flow.config.redis.url) as client:
        found: Any = client.lrange(flow.config.worker.emails.list, 0, -1)
    return [json.loads(entry)["id"] for entry in found]


def _commands(flow: Flow) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """What TicketOps says of the outbox, of dead letters, and of histories that are wrong."""
    with ThreadPoolExecutor(3) as threads:
        outbox = threads.submit(run, flow.ground, "outbox", "stats")
        dead = threads.submit(run, flow.ground, "dlq", "list", "--queue", "payments", "--queue", "emails", "--all")
        flawed = threads.submit(run, flow.ground, "state", "verify", "--grace", "0s", fine=(0, _BREACHED))
        return outbox.result()[0], dead.result(), flawed.result()

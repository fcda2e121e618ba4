"""The port AlertStore over the tables."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, delete, func, insert, or_, select, update

from ticketops.backends.store.place import Place
from ticketops.domain.alerts.lifecycle import Alert, Message, Notice, Phase, Silence
from ticketops.domain.overview.snapshot import AlertFigures

_ONE: Final = 1
"""The evaluator's row."""
_RESOLVED_KEPT: Final = timedelta(days=1)
_MESSAGES_KEPT: Final = timedelta(days=7)
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SqlAlertStore:
    """Implements ports.alerts.AlertStore."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._tables = place.tables.alerts

    def now(self) -> datetime:
        """See AlertStore."""
        with self._place.reading() as connection:
            return self._place.clock(connection)

    def lead(self, owner: str, ttl: float) -> bool:
        """See AlertStore."""
        e = self._tables.evaluator
        with self._place.writing() as connection:
            first = self._place.upsert(e).values(id=_ONE, owner="", until=_NEVER)
            connection.execute(first.on_conflict_do_nothing())
            now = self._place.clock(connection)
            free = and_(e.c.id == _ONE, or_(e.c.owner == owner, e.c.until < now))
            taken = update(e).where(free).values(owner=owner, until=now + timedelta(seconds=ttl))
            return connection.execute(taken).rowcount == 1

    def alerts(self) -> list[Alert]:
        """See AlertStore."""
        a = self._tables.alerts
        with self._place.reading() as connection:
            oldest = self._place.clock(connection) - _RESOLVED_KEPT
            recent = or_(a.c.phase != Phase.RESOLVED.value, a.c.resolved_at > oldest)
            rows = connection.execute(select(a).where(recent).order_by(a.c.since, a.c.rule, a.c.subject)).all()
        return [_alert(row) for row in rows]

    def save(self, alerts: Sequence[Alert], gone: Sequence[Alert], messages: Sequence[Message]) -> None:
        """See AlertStore."""
        a, m = self._tables.alerts, self._tables.messages
        with self._place.writing() as connection:
            for alert in alerts:
                values = {**asdict(alert), "phase": alert.phase.value}
                added = self._place.upsert(a).values(**values)
                connection.execute(added.on_conflict_do_update(index_elements=["rule", "subject"], set_=values))
            for alert in gone:
                connection.execute(delete(a).where(a.c.rule == alert.rule, a.c.subject == alert.subject))
            for message in messages:
                connection.execute(insert(m).values(**_values(message)))
            now = self._place.clock(connection)
            connection.execute(delete(a).where(a.c.resolved_at < now - _RESOLVED_KEPT))
            connection.execute(delete(m).where(m.c.at < now - _MESSAGES_KEPT))

    def evaluated(self, at: datetime) -> None:
        """See AlertStore."""
        e = self._tables.evaluator
        with self._place.writing() as connection:
            connection.execute(update(e).where(e.c.id == _ONE).values(evaluated_at=at))

    def silences(self) -> list[Silence]:
        """See AlertStore."""
        s = self._tables.silences
        with self._place.reading() as connection:
            open_ = select(s).where(s.c.until > self._place.clock(connection)).order_by(s.c.id)
            return [Silence(**row._mapping) for row in connection.execute(open_)]  # noqa: SLF001 - SQLAlchemy's public name for it

    def silence(self, silence: Silence) -> Silence:
        """See AlertStore."""
        s = self._tables.silences
        values = {name: value for name, value in asdict(silence).items() if name != "id"}
        with self._place.writing() as connection:
            number = connection.execute(insert(s).values(**values).returning(s.c.id)).scalar_one()
        return replace(silence, id=number)

    def unsilence(self, number: int) -> bool:
        """See AlertStore."""
        s = self._tables.silences
        with self._place.writing() as connection:
            now = self._place.clock(connection)
            ended = update(s).where(s.c.id == number, s.c.until > now).values(until=now)
            return connection.execute(ended).rowcount == 1

    def waiting(self, now: datetime, limit: int) -> list[Message]:
        """See AlertStore."""
        m = self._tables.messages
        due = select(m).where(m.c.delivered_at.is_(None), ~m.c.given_up, m.c.due <= now)
        with self._place.reading() as connection:
            return [_message(row) for row in connection.execute(due.order_by(m.c.id).limit(limit))]

    def delivered(self, message: Message) -> None:
        """See AlertStore."""
        m = self._tables.messages
        with self._place.writing() as connection:
            done = {"delivered_at": self._place.clock(connection), "attempts": message.attempts + 1, "error": ""}
            connection.execute(update(m).where(m.c.id == message.id).values(**done))

    def undelivered(self, message: Message, error: str, due: datetime | None) -> None:
        """See AlertStore."""
        m = self._tables.messages
        values: dict[str, Any] = {"attempts": message.attempts + 1, "error": error}
        values |= {"given_up": True} if due is None else {"due": due}
        with self._place.writing() as connection:
            connection.execute(update(m).where(m.c.id == message.id).values(**values))

    def figures(self) -> AlertFigures:
        """See AlertStore."""
        a, m, e = self._tables.alerts, self._tables.messages, self._tables.evaluator
        failed = and_(m.c.delivered_at.is_(None), m.c.error != "")
        with self._place.reading() as connection:
            now = self._place.clock(connection)
            counted = connection.execute(select(a.c.phase, func.count()).group_by(a.c.phase))
            phases: dict[str, int] = {row[0]: row[1] for row in counted}
            recent = and_(failed, m.c.at > now - _RESOLVED_KEPT)
            undelivered = connection.execute(select(func.count()).select_from(m).where(recent)).scalar_one()
            error = connection.execute(select(m.c.error).where(recent).order_by(m.c.id.desc()).limit(1)).scalar()
            evaluated = connection.execute(select(e.c.evaluated_at).where(e.c.id == _ONE)).scalar()
        return AlertFigures(
            firing=phases.get(Phase.FIRING.value, 0),
            pending=phases.get(Phase.PENDING.value, 0),
            undelivered=undelivered,
            last_error=error or "",
            evaluated_seconds=None if evaluated is None else max((now - evaluated).total_seconds(), 0.0),
        )

    def close(self) -> None:
        """See AlertStore."""
        self._place.close()


def _alert(row: Row[Any]) -> Alert:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return Alert(**{**values, "phase": Phase(values["phase"])})


def _values(message: Message) -> dict[str, Any]:
    values = {name: value for name, value in asdict(message).items() if name != "id"}
    return {**values, "notice": message.notice.value, "labels": [list(pair) for pair in message.labels]}


def _message(row: Row[Any]) -> Message:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    labels = tuple((name, value) for name, value in values["labels"])
    known = {name: values[name] for name in Message.__dataclass_fields__}
    return Message(**{**known, "notice": Notice(values["notice"]), "labels": labels})

"""What becomes of one alert, look by look: pending, firing, resolved; and when somebody is told."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Phase(StrEnum):
    """Where an alert stands."""

    PENDING = "pending"
    """The condition holds, not for long enough yet."""
    FIRING = "firing"
    RESOLVED = "resolved"


class Notice(StrEnum):
    """What somebody is told."""

    FIRED = "fired"
    REMINDED = "reminded"
    """It still fires."""
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule on one subject, since its condition began to hold."""

    rule: str
    subject: str
    phase: Phase
    since: datetime
    """When the condition began to hold."""
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    told_at: datetime | None = None
    """When somebody was told last; None while it fires: a silence kept it back."""
    seen_at: datetime
    """When it was looked at last, with an answer."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What an alert is after a look, and what is to be told; None where there is no alert."""

    alert: Alert | None
    notice: Notice | None = None


def step(  # noqa: PLR0913 - what a look says, and the spans
    alert: Alert | None,
    holds: bool | None,
    now: datetime,
    *,
    rule: str,
    subject: str,
    message: str,
    hold: timedelta,
    repeat: timedelta,
    patience: timedelta,
    silenced: bool = False,
) -> Next:
    """Decide after one look. `holds` None (nothing is known) changes nothing: no answer neither fires nor resolves.

    `repeat` of zero never reminds. A condition must hold anew for `hold` where nobody had an answer for longer than
    `patience`. What fires while it is `silenced` is told when the silence ends, if it fires still.
    """
    if holds is None:
        return Next(alert)
    live = alert if alert is not None and alert.phase is not Phase.RESOLVED else None
    if not holds:
        return ended(live, now)
    if live is None or (live.phase is Phase.PENDING and now - live.seen_at > patience):
        live = Alert(rule=rule, subject=subject, phase=Phase.PENDING, since=now, seen_at=now, message=message)
    live = replace(live, seen_at=now, message=message)
    if live.phase is Phase.PENDING and now - live.since >= hold:
        live = replace(live, phase=Phase.FIRING, fired_at=now)
    if live.phase is Phase.PENDING or silenced:
        return Next(live)
    return _told(live, now, repeat)


def _told(firing: Alert, now: datetime, repeat: timedelta) -> Next:
    if firing.told_at is None:
        return Next(replace(firing, told_at=now), Notice.FIRED)
    if repeat and now - firing.told_at >= repeat:
        return Next(replace(firing, told_at=now), Notice.REMINDED)
    return Next(firing)


def ended(live: Alert | None, now: datetime) -> Next:
    """What becomes of an alert that is not resolved yet, when its condition holds no longer or its subject is gone."""
    if live is None or live.phase is Phase.PENDING:
        return Next(None)
    resolved = replace(live, phase=Phase.RESOLVED, resolved_at=now, seen_at=now)
    return Next(resolved, Notice.RESOLVED if live.told_at is not None else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Alerts that nobody wants to hear of for a while."""

    id: int
    rule: str
    """A name, or `*`."""
    subject: str
    """A subject, or `*`."""
    until: datetime
    by: str
    """user@host."""
    reason: str
    at: datetime

    def covers(self, rule: str, subject: str, now: datetime) -> bool:
        """True where it keeps this alert back now."""
        return now < self.until and self.rule in {rule, "*"} and self.subject in {subject, "*"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One notice for one target, kept until it was delivered."""

    id: int = 0
    target: str
    notice: Notice
    rule: str
    subject: str
    severity: str
    text: str
    labels: tuple[tuple[str, str], ...] = ()
    at: datetime
    """When the alert changed."""
    since: datetime
    """When the condition began to hold."""
    attempts: int = 0
    due: datetime
    """Not tried again before."""
    error: str = ""
    """Why the last attempt failed."""

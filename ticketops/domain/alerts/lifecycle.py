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
    """When somebody was told last."""
    seen_at: datetime
    """When it was looked at last, with an answer."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What an alert is after a look, and what is to be told; None where there is no alert."""

    alert: Alert | None
    notice: Notice | None = None


def step(  # noqa: PLR0913 - what a look says, and the rule's two spans
    alert: Alert | None,
    holds: bool | None,
    now: datetime,
    *,
    rule: str,
    subject: str,
    message: str,
    hold: timedelta,
    repeat: timedelta,
) -> Next:
    """Decide after one look. `holds` None (nothing is known) changes nothing: silence neither fires nor resolves.

    `repeat` of zero never reminds.
    """
    if holds is None:
        return Next(alert)
    live = alert if alert is not None and alert.phase is not Phase.RESOLVED else None
    if not holds:
        return _ended(live, now)
    if live is None:
        live = Alert(rule=rule, subject=subject, phase=Phase.PENDING, since=now, seen_at=now, message=message)
    live = replace(live, seen_at=now, message=message)
    if live.phase is Phase.PENDING:
        if now - live.since < hold:
            return Next(live)
        return Next(replace(live, phase=Phase.FIRING, fired_at=now, told_at=now), Notice.FIRED)
    if repeat and live.told_at is not None and now - live.told_at >= repeat:
        return Next(replace(live, told_at=now), Notice.REMINDED)
    return Next(live)


def _ended(live: Alert | None, now: datetime) -> Next:
    if live is None or live.phase is Phase.PENDING:
        return Next(None)
    return Next(replace(live, phase=Phase.RESOLVED, resolved_at=now, seen_at=now, told_at=now), Notice.RESOLVED)

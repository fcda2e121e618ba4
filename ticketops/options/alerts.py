"""Alerts: rules over the snapshot, and who is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from ticketops.domain.alerts.rules import Severity
from ticketops.options.types import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOptions:
    """One rule."""

    when: str
    """The condition over one area's values, such as `dlq.depth > 100`; a number with a unit (60s, 5m) is seconds."""
    for_seconds: Annotated[float, Meta(ge=0)] = 0.0
    """Seconds that it must hold before the alert fires."""
    severity: Severity = Severity.WARNING
    """`critical`, `warning` or `info`."""
    message: str = ""
    """What to tell; {subject} and the area's values in braces are filled in. Empty: the condition and the values."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels for the targets that have them."""
    enabled: bool = True
    """False: not evaluated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """Who is told."""

    url: str = field(default="", repr=False)
    """An Apprise URL (Slack, PagerDuty, mail, webhook …), or alertmanager://HOST:PORT for Prometheus' own. Secret."""
    url_file: str = ""
    """A file that holds the URL, read instead of `url`."""
    severities: tuple[Severity, ...] = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
    """Only alerts of these severities."""


def _rule(when: str, seconds: float, severity: Severity, message: str) -> RuleOptions:
    return RuleOptions(when=when, for_seconds=seconds, severity=severity, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsOptions:
    """Alerts: rules over what `status` knows."""

    interval: Seconds = 15.0
    """Seconds between two evaluations."""
    repeat_hours: Annotated[float, Meta(ge=0)] = 4.0
    """Hours after which an alert that still fires is told again; 0: never."""
    delivery_timeout: Seconds = 10.0
    """Seconds that a target has to take a message."""
    attempts: Annotated[int, Meta(ge=1)] = 10
    """Attempts to deliver a message, further and further apart."""
    targets: Mapping[str, TargetOptions] = field(default_factory=dict)
    """Who is told, by name."""
    rules: Mapping[str, RuleOptions] = field(
        default_factory=lambda: {
            "backend-down": _rule("!backend.up", 60, Severity.CRITICAL, "{name} does not answer"),
            "outbox-old": _rule(
                "outbox.oldest > 60s", 60, Severity.CRITICAL, "the oldest outbox event waits for {oldest} s"
            ),
            "relay-down": _rule("relay.live == 0", 60, Severity.CRITICAL, "no relay is running"),
            "shards-unowned": _rule("relay.unowned > 0", 60, Severity.CRITICAL, "{unowned} shards have no relay"),
            "dead-letters": _rule("dlq.depth > 100", 300, Severity.WARNING, "{depth} dead letters in {queue}"),
            "dead-letters-arrive": _rule(
                "dlq.arrivals_5m > 20", 0, Severity.CRITICAL, "{arrivals_5m} dead letters in 5 minutes in {queue}"
            ),
            "consumer-stopped": _rule(
                "lag.verdict in [STOP, STALL, LOST, AHEAD]", 60, Severity.CRITICAL, "{group}: {verdict}, {lag} behind"
            ),
            "consumer-slow": _rule(
                'lag.verdict == "WARN"', 600, Severity.WARNING, "{group} falls behind: {lag} records"
            ),
            "transaction-open": _rule(
                'lag.verdict == "TXN" && lag.grade == "warn"', 60, Severity.WARNING, "{group} waits for a transaction"
            ),
            "bookings-stuck": _rule("state.stuck > 0", 300, Severity.WARNING, "{stuck} stuck in {state}"),
            "compensations-failed": _rule(
                "compensations.failed > 0", 0, Severity.WARNING, "{failed} compensations failed for good"
            ),
            "emails-unseen": _rule(
                "emails.without_entry > 0", 300, Severity.WARNING, "{without_entry} email jobs are in no list"
            ),
        }
    )
    """The rules by name. A file that has any of its own has no others; contexts, variables and flags add to them."""

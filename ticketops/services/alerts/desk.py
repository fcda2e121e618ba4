"""An operator's changes to alerts: silences, and messages that try a target."""

from dataclasses import dataclass
from datetime import timedelta

from ticketops.domain.alerts.lifecycle import Message, Notice, Silence
from ticketops.errors import NotFoundError, UsageError
from ticketops.options.alerts import AlertsOptions
from ticketops.ports.alerts import AlertStore
from ticketops.services.guard import Access, require_writable

_LONGEST = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AlertDesk:
    """An operator at the alerts of one context."""

    store: AlertStore
    options: AlertsOptions
    access: Access
    actor: str
    """user@host."""

    def check(self, rule: str) -> None:
        """NotFoundError unless the configuration has the rule; `*` is every rule."""
        if rule != "*" and rule not in self.options.rules:
            known = ", ".join(self.options.rules) or "none"
            raise NotFoundError(f"there is no alert rule {rule}", hint=f"there are {known}")

    def silence(self, rule: str, subject: str, span: timedelta, reason: str) -> Silence:
        """Keep alerts back for `span`; what fires still when it ends is told then."""
        require_writable(self.access, "alerts silence")
        self.check(rule)
        if not timedelta(0) < span <= _LONGEST:
            raise UsageError("a silence lasts up to 30 days", hint="write --for 30m, 2h, 3d")
        now = self.store.now()
        silence = Silence(id=0, rule=rule, subject=subject, until=now + span, by=self.actor, reason=reason, at=now)
        return self.store.silence(silence)

    def unsilence(self, number: int) -> None:
        """End a silence; NotFoundError where there is none of that number."""
        require_writable(self.access, "alerts unsilence")
        if not self.store.unsilence(number):
            raise NotFoundError(f"there is no silence {number}", why="it has ended, or there never was one")

    def test_message(self, target: str) -> Message:
        """A message that says what it is."""
        now = self.store.now()
        text = f"a test by {self.actor} in context {self.access.context}; nothing is wrong"
        return Message(
            target=target,
            notice=Notice.FIRED,
            rule="test",
            subject="ticketops",
            severity="info",
            text=text,
            at=now,
            since=now,
            due=now,
        )

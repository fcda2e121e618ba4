"""Silences, as the dashboard proposes them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ticketops.domain.selectors import parse_span
from ticketops.errors import RefusedError, UsageError
from ticketops.services.alerts.desk import AlertDesk
from ticketops.services.guard import require_writable
from ticketops.tui.looks import command_of
from ticketops.tui.proposals import Proposal, Question, Step, Watch

_EVERY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMeans:
    """What silences are made with; opened anew, in a thread."""

    desk: Callable[[], AbstractContextManager[AlertDesk]]
    tail: tuple[str, ...] = ()
    """What commands need at their end to mean the same context."""


class AlertChanges:
    """Plans of silences, and of their ends."""

    def __init__(self, means: AlertMeans) -> None:
        self._means = means

    def silence(self, rule: str, subject: str) -> Question:
        """For how long. DeniedError in a read-only context."""
        with self._means.desk() as desk:
            require_writable(desk.access, "alerts silence")
            desk.check(rule)

        def then(text: str) -> Step:
            span = parse_span(text or "1h")
            return lambda: self._silence(rule, subject or _EVERY, text or "1h", span)

        about = f"subject {subject}" if subject else "every subject"
        return Question(
            title=f"silence {rule} for how long?",
            lines=(f"{about}; what fires still when it ends is told then", "30m, 2h, 3d; empty: 1h"),
            then=then,
        )

    def _silence(self, rule: str, subject: str, said: str, span: timedelta) -> Proposal:
        words = ("ticketops", "alerts", "silence", rule, "--subject", subject, "--for", said, *self._means.tail)
        return Proposal(
            title=f"silence {rule}",
            lines=(f"silence rule {rule}, subject {subject}, for {said}",),
            command=command_of(*words),
            count=1,
            make=partial(self._silenced, rule, subject, span),
        )

    def _silenced(self, rule: str, subject: str, span: timedelta, watch: Watch) -> str:
        with self._means.desk() as desk:
            made = desk.silence(rule, subject, span, watch.reason)
        return f"silence {made.id} ends at {made.until:%Y-%m-%d %H:%M:%S}Z"

    def unsilence(self) -> Question:
        """Which silence ends. DeniedError in a read-only context, RefusedError where there is none."""
        with self._means.desk() as desk:
            require_writable(desk.access, "alerts unsilence")
            found = desk.store.silences()
        if not found:
            raise RefusedError("no silence is in force")

        def then(text: str) -> Step:
            if text not in {str(one.id) for one in found}:
                raise UsageError(f"there is no silence {text}", hint="write the number of one")
            return lambda: self._end(int(text))

        return Question(
            title="end which silence now?",
            lines=tuple(f"{one.id}: {one.rule}, {one.subject}, by {one.by}: {one.reason or '-'}" for one in found),
            then=then,
            start=str(found[0].id) if len(found) == 1 else "",
        )

    def _end(self, number: int) -> Proposal:
        return Proposal(
            title=f"end silence {number}",
            lines=(f"end silence {number}",),
            command=command_of("ticketops", "alerts", "unsilence", str(number), *self._means.tail),
            count=1,
            make=partial(self._ended, number),
        )

    def _ended(self, number: int, _: Watch) -> str:
        with self._means.desk() as desk:
            desk.unsilence(number)
        return f"silence {number} has ended"

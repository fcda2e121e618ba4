"""What is broken in turn, what it looks like, and how it is mended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ticketops.demo.incident.stage import Stage


@dataclass(frozen=True, slots=True)
class Expected:
    """A line of `status` that must appear."""

    area: str
    subject: str
    word: str

    @property
    def shown(self) -> str:
        """As people read it."""
        return f"{self.word} {self.area} {self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One thing that breaks."""

    name: str
    broken: str
    """What happened, for the caption."""
    look: str
    """Where to look, and which keys to press."""
    expected: Sequence[Expected]
    """What `status` must say."""
    breaks: Callable[[], None]
    mends: Callable[[], None]
    mended: str
    """What was mended, and what is left to do."""
    acts: Callable[[], None] | None = None
    """What is left to somebody at the dashboard; done by us where nobody is. None: nothing is left."""


def scenes(stage: Stage) -> Sequence[Scene]:
    """All of them, in order."""
    return (
        Scene(
            name="the payment provider is out",
            broken="the payment provider answers 504 while a sale opens",
            look="dead letters pile up in Redis and on payment-events.dlq; Enter on `dlq bookings` shows the one cause",
            expected=(Expected("dlq", "bookings", "GROWS"), Expected("dlq", "payments", "GROWS")),
            breaks=stage.break_provider,
            mends=stage.mend_provider,
            mended="the provider is back; `dlq bookings`: Enter, W, R on the 504s puts them back (error pages: D)",
            acts=stage.end_outage,
        ),
        Scene(
            name="a consumer dies",
            broken="payments-1, the only consumer of booking-service, was killed with SIGKILL",
            look="in 15 s Kafka notices: the group is EMPTY, its lag grows: STOP. Enter on `lag` shows the partitions",
            expected=(Expected("lag", "booking-service", "STOP"),),
            breaks=stage.kill_consumer,
            mends=stage.restart_consumer,
            mended="payments-1 runs again and catches up",
        ),
        Scene(
            name="a poison event",
            broken="somebody wrote half an event to booking-events, past the outbox",
            look="the worker went on: a dead letter in `dlq emails`; Enter three times shows its payload and error",
            expected=(Expected("dlq", "emails", "GROWS"),),
            breaks=stage.poison,
            mends=lambda: None,
            mended="half an event stays half an event: `dlq emails`, Enter, W, D moves it into the archive",
            acts=stage.discard_poison,
        ),
        Scene(
            name="Redis hangs",
            broken="Redis was suspended: it takes connections and answers nothing",
            look="its own lines turn to ? with the age of what was last known; all the others stay live",
            expected=(Expected("backend", "redis", "LOST"),),
            breaks=stage.suspend_redis,
            mends=stage.resume_redis,
            mended="Redis goes on",
        ),
        Scene(
            name="bookings are stuck",
            broken="the payment provider takes payments and tells nobody",
            look="bookings stay too long in PAYMENT_PENDING: `:state stuck`, Enter shows a history, Enter its trace",
            expected=(Expected("state", "PAYMENT_PENDING", "STUCK"),),
            breaks=stage.silence_provider,
            mends=stage.end_silence,
            mended="the provider tells all that it kept to itself; the bookings move on",
        ),
    )

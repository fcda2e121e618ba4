"""One verdict for each partition from a window of samples; a group is as bad as its worst partition.

The rules are Burrow's idea (judge by what happened in a window, without thresholds), with its known false alarms left
out: topics with little traffic, consumers that commit in bursts, transaction markers, groups in a rebalance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Final

from ticketops.domain.lag.samples import GroupState, Sample, last_good, rewound, since_break
from ticketops.domain.spans import age


class Grade(StrEnum):
    """How bad a verdict is."""

    BAD = "bad"
    WARN = "warn"
    UNKNOWN = "unknown"
    OK = "ok"


class Verdict(StrEnum):
    """What a partition's window means; the worst first."""

    LOST = "LOST"
    AHEAD = "AHEAD"
    STOP = "STOP"
    STALL = "STALL"
    WARN = "WARN"
    REWIND = "REWIND"
    NOCMT = "NOCMT"
    TXN = "TXN"
    UNKN = "UNKN"
    CATCH = "CATCH"
    OK = "OK"

    @property
    def badness(self) -> int:
        """Higher is worse."""
        return len(Verdict) - list(Verdict).index(self)

    @property
    def grade(self) -> Grade:
        """How bad it is."""
        return _GRADES[self]

    @property
    def explanation(self) -> "Explanation":
        """What it means, what causes it, and what to do next."""
        return EXPLANATIONS[self]


_GRADES: Final = {
    Verdict.LOST: Grade.BAD,
    Verdict.AHEAD: Grade.BAD,
    Verdict.STOP: Grade.BAD,
    Verdict.STALL: Grade.BAD,
    Verdict.WARN: Grade.WARN,
    Verdict.REWIND: Grade.WARN,
    Verdict.NOCMT: Grade.WARN,
    Verdict.TXN: Grade.OK,
    Verdict.UNKN: Grade.UNKNOWN,
    Verdict.CATCH: Grade.OK,
    Verdict.OK: Grade.OK,
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict in words."""

    meaning: str
    cause: str
    next_step: str


EXPLANATIONS: Final = {
    Verdict.LOST: Explanation(
        "records that were never consumed are gone: the committed offset lies before the log's start",
        "retention was shorter than the outage, or records were deleted",
        "note the offsets, find the events by `ticketops outbox list`, and publish them again with `outbox replay`",
    ),
    Verdict.AHEAD: Explanation(
        "the committed offset lies behind the log's end, so new records are skipped until it is reached",
        "the topic was deleted and made anew, or an unclean leader election truncated it",
        "stop the consumers, reset the group's offset to the log's start, start them",
    ),
    Verdict.STOP: Explanation(
        "there are records to consume and nobody who does: no member, or none that holds this partition",
        "the consumers are stopped, crash at start, or cannot join",
        "look at the consumer's log and start it; its partitions are then assigned by themselves",
    ),
    Verdict.STALL: Explanation(
        "a member holds the partition and commits nothing, though there are records",
        "a record that fails again and again, a deadlock, or a call without a time-out",
        "read the record at the committed offset, then the consumer's log; a restart helps against a deadlock only",
    ),
    Verdict.WARN: Explanation(
        "the consumer works, and falls behind all the same",
        "more is produced than it can take: a slow database or endpoint, too few members, a hot key",
        "add members up to the number of partitions, or make the handler faster",
    ),
    Verdict.REWIND: Explanation(
        "the committed offset went back: records are consumed again",
        "someone reset the group's offsets, or a consumer committed an older position",
        "ask who did it; consumers must drop the events that they have seen",
    ),
    Verdict.NOCMT: Explanation(
        "the group has committed nothing here, so its lag cannot be told",
        "it never consumed this partition, its offsets expired, or it keeps them elsewhere",
        "where it should consume: look whether it subscribes to the topic; its next start decides by auto.offset.reset",
    ),
    Verdict.TXN: Explanation(
        "there is no record left to consume: the offsets that remain are transaction markers or an open transaction",
        "a transactional producer; one that left a transaction open for minutes (then it is a warning) hangs or died",
        "nothing to do; where a transaction stays open, look at its producer",
    ),
    Verdict.UNKN: Explanation(
        "the last look failed; what is shown is the last good value with its age",
        "the broker or the coordinator did not answer, the topic is gone, or a right is missing",
        "`ticketops doctor` says what cannot be reached",
    ),
    Verdict.CATCH: Explanation(
        "behind, and catching up", "a burst, or an outage that has ended", "nothing to do; see the time to drain"
    ),
    Verdict.OK: Explanation("keeps up", "", "nothing to do"),
}


_NOISE: Final = 0.05
"""Part of what was consumed in a window by which the lag of a busy consumer may hover without meaning anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What counts as keeping up, and how much must be seen before a trend is told."""

    lag: int = 0
    """Records up to which a consumer counts as caught up."""
    min_samples: int = 3
    min_span: timedelta = timedelta(seconds=30)
    min_flat: timedelta = timedelta(minutes=2)
    """For how long nothing must have been committed before it means anything: many commit once a minute."""
    open_long: timedelta = timedelta(minutes=5)
    """From when on an open transaction is a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgment:
    """The verdict on one partition."""

    verdict: Verdict
    lag: int | None
    """Records not consumed; None where nothing is committed."""
    amount: int | None = None
    """Records lost (LOST), offsets too far (AHEAD), unread records (NOCMT)."""
    note: str = ""
    """What makes this case special."""
    provisional: bool = False
    """True: too little was seen to tell a trend; more looks may change the verdict."""
    overdue: bool = False
    """True: what is fine for a moment (TXN) has lasted too long."""

    @property
    def grade(self) -> Grade:
        """How bad it is: as its verdict, and a warning where it is overdue."""
        return Grade.WARN if self.overdue else self.verdict.grade

    @property
    def alarming(self) -> bool:
        """True where it is worth an alarm; a trend that is not known yet is not."""
        return self.grade is Grade.BAD or (self.grade is Grade.WARN and not self.provisional)


def judge(window: Sequence[Sample], bounds: Bounds = Bounds()) -> Judgment:
    """The verdict on one partition; `window` has its samples, oldest first."""
    good = last_good(window)
    if good is None:
        return Judgment(verdict=Verdict.UNKN, lag=None, note=window[-1].error if window else "never looked")
    if window[-1].error:
        return Judgment(verdict=Verdict.UNKN, lag=good.lag, note=window[-1].error)
    worked = [sample for sample in window if not sample.error]
    return _offsets(good, worked) or _flow(good, worked, bounds)


def worst(judgments: Iterable[Judgment]) -> Judgment | None:
    """The worst of a group's partitions; None where it has none."""
    return max(
        judgments, key=lambda judgment: (judgment.alarming, judgment.verdict.badness, judgment.lag or 0), default=None
    )


def _offsets(now: Sample, worked: Sequence[Sample]) -> Judgment | None:
    """Verdicts that follow from where the offsets lie."""
    if now.committed is None:
        before = next((sample.committed for sample in reversed(worked) if sample.committed is not None), None)
        if before is None and now.end == now.start:
            return Judgment(verdict=Verdict.OK, lag=0, note="there is no record")
        note = "" if before is None else f"the committed offset {before} expired or was deleted"
        return Judgment(verdict=Verdict.NOCMT, lag=None, amount=now.end - now.start, note=note)
    if now.committed < now.start:
        return Judgment(verdict=Verdict.LOST, lag=now.lag, amount=now.start - now.committed)
    if now.committed > now.end:
        return Judgment(verdict=Verdict.AHEAD, lag=now.lag, amount=now.committed - now.end)
    return None


def _flow(now: Sample, worked: Sequence[Sample], bounds: Bounds) -> Judgment:
    """Verdicts that follow from how offsets move."""
    lag = now.lag or 0
    comparable = since_break(worked)
    if _keeps_up(now, bounds):
        return Judgment(verdict=Verdict.OK, lag=lag)
    if transaction := _transaction(worked, bounds):
        return transaction
    if rewound(worked):
        return Judgment(verdict=Verdict.REWIND, lag=lag)
    if any(_keeps_up(sample, bounds) for sample in comparable):
        return Judgment(verdict=Verdict.OK, lag=lag, note="caught up within the window")
    return _movement([sample for sample in comparable if sample.settled] or comparable, now, bounds)


def _movement(held: Sequence[Sample], now: Sample, bounds: Bounds) -> Judgment:
    """What the trend says, where enough was seen to tell one."""
    lag = now.lag or 0
    if len(held) < bounds.min_samples or held[-1].at - held[0].at < bounds.min_span:
        return _at_first_sight(held[-1], lag, "the trend is not known yet")
    if held[0].committed == held[-1].committed and held[-1].at - held[0].at < bounds.min_flat:
        return _at_first_sight(held[-1], lag, "nothing committed yet since the first look")
    return Judgment(verdict=_trend(held), lag=lag, note=_note(now))


def _keeps_up(sample: Sample, bounds: Bounds) -> bool:
    return sample.fresh or (sample.lag or 0) <= bounds.lag


def _transaction(worked: Sequence[Sample], bounds: Bounds) -> Judgment | None:
    """Nothing that can be read is left; an open transaction first: a reader sees the log end before it."""
    now = worked[-1]
    lag, committed = now.lag or 0, now.committed or 0
    hidden = now.stable_end is not None and now.stable_end < now.end
    if hidden and (now.drained or committed >= (now.stable_end or 0)):
        since = _open_since(worked, now.stable_end or 0)
        overdue = now.at - since >= bounds.open_long
        lasting = f" for {age((now.at - since).total_seconds())} at least" if overdue else ""
        note = f"an open transaction hides what follows{lasting}"
        return Judgment(verdict=Verdict.TXN, lag=lag, note=note, overdue=overdue)
    return Judgment(verdict=Verdict.TXN, lag=lag, note="no record is left") if now.drained else None


def _open_since(worked: Sequence[Sample], stable: int) -> datetime:
    """Since when the log has been stable up to this offset and no further, as far as the window goes."""
    open_ = takewhile(lambda sample: sample.stable_end == stable < sample.end, reversed(worked))
    return min(sample.at for sample in open_)


def _at_first_sight(now: Sample, lag: int, note: str) -> Judgment:
    verdict = Verdict.STOP if _unattended(now) else Verdict.WARN
    return Judgment(verdict=verdict, lag=lag, note=note, provisional=True)


def _trend(held: Sequence[Sample]) -> Verdict:
    if held[0].committed == held[-1].committed:
        return Verdict.STOP if _unattended(held[-1]) else Verdict.STALL
    first, last = _troughs(held)
    noise = _NOISE * ((held[-1].committed or 0) - (held[0].committed or 0))
    if last > first + noise:
        return Verdict.WARN
    return Verdict.CATCH if last < first - noise else Verdict.OK


def _troughs(held: Sequence[Sample]) -> tuple[int, int]:
    """The smallest lag in the first and in the last half: commits come in bursts, so only troughs compare."""
    half = (len(held) + 1) // 2
    lags = [sample.lag or 0 for sample in held]
    return min(lags[:half]), min(lags[-half:])


def _unattended(sample: Sample) -> bool:
    return sample.state in {GroupState.EMPTY, GroupState.DEAD} or not sample.assigned


def _note(now: Sample) -> str:
    return "in a rebalance" if now.state is GroupState.REBALANCING else ""

"""Looks at the groups that count, adds each look to the windows, and judges every consumer by its window."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from ticketops.domain.lag.ages import age, drain, rate
from ticketops.domain.lag.backlogs import LOOKED, STEADY, backlog_samples, recounted
from ticketops.domain.lag.looks import Consumer, GroupSeen, Look, Partition, absent, samples
from ticketops.domain.lag.samples import GroupState, Sample, last_good
from ticketops.domain.lag.verdicts import Bounds, Judgment, Verdict, judge, worst
from ticketops.domain.overview.snapshot import GroupLag, PartitionLag
from ticketops.errors import TicketOpsError
from ticketops.options.lag import LagOptions
from ticketops.ports.lag import LagSource
from ticketops.ports.ring import Ring
from ticketops.services.lag.beside import Beside
from ticketops.services.lag.windows import Windows, pack, unpack

_PEEKS: Final = 200
"""Partitions whose next record is read in one look, those that are furthest behind first."""
_PEEK_PART: Final = 0.3
"""Part of the time that is left which these reads may take."""
_LIST_PART: Final = 0.5
"""Part of the time-out after which brokers that have not listed their groups are not waited for."""
_UNLISTED: Final = "(not listed)"
"""Groups that nobody told of: brokers that did not answer may have some."""
_LOOKS: Final = 20
"""Looks of earlier runs that are taken up: enough for a trend."""
_SPARKS: Final = 20
"""Lags of the window that are told."""
_KIND: Final = "lag"
_QUEUES: Final = frozenset({"relay", "queue"})
_OTHER: Final = Judgment(
    verdict=Verdict.OK, lag=0, note="a share, Streams or Connect group: commits no offsets to look at"
)
_NOTHING: Final = Judgment(verdict=Verdict.OK, lag=0, note="consumes nothing")


class LagWatch:
    """A memory of looks; one instance serves one thread."""

    def __init__(
        self, source: LagSource, options: LagOptions, ring: Ring | None = None, beside: Sequence[Beside] = ()
    ) -> None:
        """`ring`: where looks of earlier runs are found, and this one's are left; `beside`: consumers of queues."""
        self._source = source
        self._options = options
        self._ring = ring
        self._beside = beside
        self._rates: dict[str, float | None] = {}
        self._keep = timedelta(seconds=options.window)
        self._windows = Windows(self._keep)
        self._recalled = ring is None
        self._times: dict[tuple[Partition, int], datetime | None] = {}
        self.trouble = ""
        """Why earlier looks cannot be recalled or kept; empty where they can."""

    def observe(self, timeout: float, only: str | None = None) -> tuple[GroupLag, ...]:
        """Every group that counts, the worst first; `only` looks at one group.

        BackendUnavailable where nobody answers within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        asked = [beside for beside in self._beside if self._counts(beside.group, only)]
        for beside in asked:
            beside.ask(timeout)
        listed = self._source.groups(timeout * _LIST_PART)
        names = [name for name in listed.groups if self._counts(name.group, only)]
        look = self._source.look(names, max(deadline - time.monotonic(), 0.1))
        self._recall(look.at)
        taken = {consumer: sample for consumer, sample in samples(look) if self._topic_counts(consumer)}
        missing = "" if any(beside.group == only for beside in asked) else listed.missing
        taken |= self._absent(taken, look, missing, only)
        enriched = self._enriched(taken, deadline)
        queues = [self._queue(beside, look.at, enriched) for beside in asked]
        self._windows.add(enriched.items())
        self._windows.forget(look.at)
        self._remember(look.at, enriched)
        seen = (*look.groups, *queues)
        everyone = (*seen, *_unseen(seen, enriched, missing, only))
        groups = [self._group(one, look.at, enriched) for one in everyone]
        return tuple(sorted(groups, key=_worst_first))

    def close(self) -> None:
        """Give up connections; idempotent."""
        self._source.close()
        for beside in self._beside:
            beside.close()
        if self._ring is not None:
            self._ring.close()

    def _counts(self, group: str, only: str | None) -> bool:
        if only is not None:
            return group == only
        options = self._options
        return _matches(options.groups, group) and not _matches(options.ignore_groups, group)

    def _topic_counts(self, consumer: Consumer) -> bool:
        topic, options = consumer.partition.topic, self._options
        return _matches(options.topics, topic) and not _matches(options.ignore_topics, topic)

    def _bounds(self, consumer: Consumer, seen: GroupSeen) -> Bounds:
        topic, options = consumer.partition.topic, self._options
        bounds = Bounds(lag=options.bound_by_topic.get(topic, options.bound))
        return replace(bounds, min_flat=STEADY) if seen.kind in _QUEUES else bounds

    def _queue(self, beside: Beside, at: datetime, taken: dict[Consumer, Sample]) -> GroupSeen:
        """One consumer of queues; its samples are added to `taken`."""
        said = beside.answer()
        windows = {c: self._windows.of(c) for c in self._windows.consumers if c.group == beside.group}
        if isinstance(said, str):
            behind = [consumer for consumer, window in windows.items() if (last := last_good(window)) and last.lag]
            taken |= {consumer: Sample(at=at, error=said) for consumer in behind}
            return GroupSeen(group=beside.group, kind=beside.kind, state=GroupState.UNKNOWN, error=said)
        self._rates[beside.group] = said.rate
        for consumer, samples_ in backlog_samples(beside.group, said, windows, at).items():
            *earlier, taken[consumer] = samples_
            self._windows.add((consumer, sample) for sample in earlier)
        return GroupSeen(group=beside.group, kind=beside.kind, state=said.state, members=said.members)

    def _absent(
        self, taken: Mapping[Consumer, Sample], look: Look, missing: str, only: str | None
    ) -> dict[Consumer, Sample]:
        """Consumers of the window that this look does not have; who has been gone for a whole window is forgotten."""
        listed = {seen.group: seen for seen in look.groups}
        found, queues = {}, {beside.group for beside in self._beside}
        for consumer in self._windows.consumers:
            if consumer in taken or consumer.group in queues or not self._counts(consumer.group, only):
                continue
            window, seen = self._windows.of(consumer), listed.get(consumer.group)
            sample = absent(consumer, window, seen, look, missing) if self._topic_counts(consumer) else None
            if sample is None:
                self._windows.put(consumer, ())
            else:
                found[consumer] = sample
        return found

    def _enriched(self, taken: Mapping[Consumer, Sample], deadline: float) -> dict[Consumer, Sample]:
        """The same with stable ends, and with what a read of the next record told."""
        behind = {consumer: sample for consumer, sample in taken.items() if sample.lag}
        if not behind:
            self._times.clear()
            return dict(taken)
        left = max(deadline - time.monotonic(), 0.1)
        partitions = sorted({consumer.partition for consumer in behind})
        stable = self._source.stable_ends(partitions, left * (1 - _PEEK_PART))
        self._peek(behind, min(deadline, time.monotonic() + left * _PEEK_PART))
        return {
            consumer: replace(
                sample,
                stable_end=stable.get(consumer.partition),
                drained=self._times.get((consumer.partition, sample.committed or 0), sample.at) is None,
            )
            if consumer in behind
            else sample
            for consumer, sample in taken.items()
        }

    def _peek(self, behind: Mapping[Consumer, Sample], deadline: float) -> None:
        """Learn the next records' timestamps; what is known already, by partition and offset, is not asked again.

        That no record is left is asked again: the next one may come.
        """
        wanted = {(consumer.partition, sample.committed or 0): sample.lag or 0 for consumer, sample in behind.items()}
        self._times = {key: at for key, at in self._times.items() if key in wanted and at is not None}
        ahead = {(c.partition, s.committed or 0) for c, s in behind.items() if (s.committed or 0) < s.start}
        unknown = [key for key in wanted if key not in self._times and key not in ahead]
        unknown.sort(key=lambda key: -wanted[key])
        for round_ in _rounds(unknown[:_PEEKS]):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            told = self._source.records_at(dict(round_), left)
            self._times |= {key: told[key[0]] for key in round_ if key[0] in told}

    def _recall(self, now: datetime) -> None:
        if self._recalled or self._ring is None:
            return
        self._recalled = True
        try:
            for _, body in self._ring.since(_KIND, now - self._keep, most=_LOOKS):
                self._windows.add(unpack(body))
        except TicketOpsError as error:
            self.trouble = str(error)
        queues = {beside.group for beside in self._beside}
        for consumer in self._windows.consumers:
            if consumer.group in queues:
                self._windows.put(consumer, recounted(self._windows.of(consumer)))

    def _remember(self, at: datetime, taken: Mapping[Consumer, Sample]) -> None:
        if self._ring is None or self.trouble:
            return
        try:
            self._ring.append(_KIND, at, pack(taken), self._keep)
        except TicketOpsError as error:
            self.trouble = str(error)

    def _group(self, seen: GroupSeen, now: datetime, taken: Mapping[Consumer, Sample]) -> GroupLag:
        consumers = sorted(c for c in taken if c.group == seen.group and c.partition != LOOKED)
        parts = tuple(self._partition(consumer, seen, now) for consumer in consumers)
        error = Judgment(verdict=Verdict.UNKN, lag=None, note=seen.error) if seen.error else _NOTHING
        return GroupLag(
            group=seen.group,
            kind=seen.kind,
            state=seen.state,
            members=seen.members,
            partitions=parts,
            judgment=worst(part.judgment for part in parts) or (_OTHER if seen.kind == "other" else error),
        )

    def _partition(self, consumer: Consumer, seen: GroupSeen, now: datetime) -> PartitionLag:
        window = self._windows.of(consumer)
        good = last_good(window) or window[-1]
        left = drain(window)
        return PartitionLag(
            topic=consumer.partition.topic,
            partition=consumer.partition.number,
            judgment=judge(window, self._bounds(consumer, seen)),
            committed=good.committed,
            start=good.start,
            end=good.end,
            age=age(window, now, good.oldest_at or self._times.get((consumer.partition, good.committed or 0))),
            drain_seconds=None if left is None else left.total_seconds(),
            rate=self._rates[consumer.group] if consumer.group in self._rates else rate(window),
            member=seen.holders.get(consumer.partition, ""),
            sparkline=_sparks(window),
        )


def _worst_first(group: GroupLag) -> tuple[int, int, str]:
    return -group.judgment.verdict.badness, -(group.lag or 0), group.group


def _unseen(
    seen: Iterable[GroupSeen], taken: Iterable[Consumer], missing: str, only: str | None
) -> Iterator[GroupSeen]:
    """Groups of the window that are not listed any more, and a line for those that a silent broker may have."""
    listed = {one.group for one in seen}
    known = {consumer.group for consumer in taken}
    kind, state = ("unlisted", GroupState.UNKNOWN) if missing else ("gone", GroupState.DEAD)
    for group in sorted(known - listed):
        yield GroupSeen(group=group, kind=kind, state=state)
    if missing and only not in known | listed:
        yield GroupSeen(group=only or _UNLISTED, kind="unlisted", state=GroupState.UNKNOWN, error=missing)


def _sparks(window: Sequence[Sample]) -> tuple[int, ...]:
    """Evenly chosen lags of the window, the latest among them."""
    lags = [sample.lag for sample in window if sample.lag is not None]
    step = max(1, -(-len(lags) // _SPARKS))
    return tuple(reversed(lags[::-1][::step]))


def _rounds(keys: Iterable[tuple[Partition, int]]) -> Iterator[list[tuple[Partition, int]]]:
    """Keys in rounds in which no partition occurs twice: a consumer reads a partition from one offset at a time."""
    waiting = sorted(keys)
    rounds: list[list[tuple[Partition, int]]] = []
    for _, same in groupby(waiting, key=lambda key: key[0]):
        for number, key in enumerate(same):
            if number == len(rounds):
                rounds.append([])
            rounds[number].append(key)
    yield from rounds


def _matches(patterns: Sequence[str], text: str) -> bool:
    return any(re.fullmatch(pattern, text) for pattern in patterns)

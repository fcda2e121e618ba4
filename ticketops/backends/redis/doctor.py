"""What is wrong with the booking worker's keys, and how it is set right. Everything is read in pages."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from time import monotonic, sleep
from typing import Any, Final

from ticketops.backends.redis import pages
from ticketops.backends.redis.bodies import MISSING, Found, fetch, moment_in, name_of
from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.domain.deadletters import BodyState, Fault, FaultKind
from ticketops.domain.wire.items import read_item
from ticketops.errors import WireError

_STEP: Final = 200
_TOTAL: Final = "total_items"
_TODAY: Final = "processed_today"
"""Counts arrivals and is never reset by the worker: nothing that is there could confirm it."""
_NOT_REASONS: Final = frozenset({"", _TOTAL, _TODAY})
_GLOB: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\*?[]"})
_MOMENT: Final = 1.0
"""Seconds that the worker has to finish what does not say when it began."""
Repair = tuple[Sequence[str], Sequence[str]]
"""Keys and arguments of the script that sets it right."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, and what would set it right."""

    fault: Fault
    repair: Repair | None = None
    undated: bool = False
    """Nothing says how old it is: it may be half written."""


@dataclass(slots=True)
class _Truth:
    """What there is, by reason, as it is when ids and bodies are set right."""

    all: Counter[str] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)
    """Of what is older than the grace: the worker has counted it by now."""
    unread: int = 0
    """Items whose bodies the worker may be about to write: their reasons are not known."""

    def add(self, reason: str, *, settled: bool) -> None:
        for name in (_TOTAL, *([] if reason in _NOT_REASONS else [reason])):
            self.all[name] += 1
            self.settled[name] += settled

    def agrees(self, name: str, told: str) -> bool:
        number = int(told) if told.lstrip("-").isdigit() else 0 if not told else -1
        return self.settled[name] <= number <= self.all[name] + (name != _TOTAL) * self.unread


class Doctor:
    """One examination."""

    def __init__(self, session: Session, keys: Keys, queue: str, grace: float, *, split: bool) -> None:
        self._session = session
        self._keys = keys
        self._queue = queue
        self._grace = grace
        self._split = split
        seconds, micros = session.now()
        self._now = seconds + micros / 1_000_000
        self._typed: dict[str, str] = {}

    def findings(self) -> Iterator[Finding]:
        """Everything, one after the other."""
        yield from self._types()
        truth = _Truth()
        before = self._counters()
        if self._is(self._keys.items, "zset"):
            yield from self._letters(truth)
            yield from self._bodies(truth)
        yield from self._counts(truth, before)
        if self._is(self._keys.active, "set"):
            yield from self._stale_shows()
        yield from self._lists()
        if self._is(self._keys.item_map, "hash"):
            yield from self._leftovers()

    def _types(self) -> Iterator[Finding]:
        keys = self._keys
        wanted = {keys.items: "zset", keys.stats: "hash", keys.active: "set", keys.item_map: "hash"}
        with self._session.use() as client:
            self._typed = {key: name_of(client.type(key)) for key in wanted}
        for key, kind in self._typed.items():
            if kind not in {"none", wanted[key]}:
                yield self._finding(FaultKind.WRONG_TYPE, key, f"it is a {kind}, not a {wanted[key]}")

    def _is(self, key: str, kind: str) -> bool:
        return self._typed[key] in {"none", kind}

    def _letters(self, truth: _Truth) -> Iterator[Finding]:
        """Ids without body, bodies of a wrong type or that no decoder accepts; what there is, is counted on the way."""
        for page in pages.pages(self._session, self._keys.items):
            found = fetch(self._session, self._keys, [name_of(member) for member, _ in page], split=self._split)
            for (_, score), one in zip(page, found, strict=True):
                settled = score <= self._now - self._grace
                if one.state != MISSING or not settled:
                    truth.add(one.text.reason, settled=settled)
                    truth.unread += one.state == MISSING
                if settled and (finding := self._letter(one)):
                    yield finding

    def _letter(self, one: Found) -> Finding | None:
        if one.state == MISSING:
            repair = ([self._keys.items, self._keys.body(one.id)], ["no-body", one.id])
            return self._finding(FaultKind.NO_BODY, one.id, "its body is gone", "remove the id", repair)
        if one.state != "body":
            return self._finding(FaultKind.WRONG_TYPE, self._keys.body(one.id), one.text.problem)
        if one.body_state is BodyState.UNREADABLE:
            return self._finding(FaultKind.UNREADABLE, one.id, one.text.problem)
        return None

    def _bodies(self, truth: _Truth) -> Iterator[Finding]:
        """Bodies without id."""
        others = {*self._keys.sample()[:4]}
        for chunk in _chunks(self._keys_like(self._keys.bodies, "string")):
            ids = [key.removeprefix(self._keys.bodies) for key in chunk if key not in others]
            lonely = [id_ for id_, score in zip(ids, self._scores(self._keys.items, ids), strict=True) if score is None]
            for one in fetch(self._session, self._keys, lonely, split=self._split):
                failed = one.text.failed_at or moment_in(one.id)
                if one.state == "body" and failed and failed.timestamp() <= self._now - self._grace:
                    score = str(int(failed.timestamp()))
                    repair = ([self._keys.items, self._keys.body(one.id)], ["no-id", one.id, score])
                    found = f"it failed at {failed.isoformat()}"
                    truth.add(one.text.reason, settled=True)
                    yield self._finding(FaultKind.NO_ID, one.id, found, "add the id with that time", repair)
                elif one.state == "body" and not failed:
                    yield self._finding(FaultKind.NO_ID, one.id, one.text.problem or "it does not say when it failed")

    def _counters(self) -> dict[str, str]:
        if not self._is(self._keys.stats, "hash"):
            return {}
        with self._session.use() as client:
            pairs = client.hscan_iter(self._keys.stats, count=_STEP)
            return {name_of(name): name_of(value) for name, value in pairs}

    def _counts(self, truth: _Truth, before: dict[str, str]) -> Iterator[Finding]:
        """Counters that differ from what is there and did not move while it was counted."""
        if not self._is(self._keys.stats, "hash") or not self._is(self._keys.items, "zset"):
            return
        after = self._counters()
        for name, told in sorted(after.items()):
            if name in {"", _TODAY} or not (
                name in truth.all or told.lstrip("-").isdigit()
            ):  # nothing that counts dead letters
                continue
            if told == before.get(name, "") and not truth.agrees(name, told):
                right = str(truth.all[name])
                repair = ([self._keys.stats], ["counter", name, told, right])
                yield self._finding(
                    FaultKind.COUNTER,
                    name,
                    f"it says {told or 'nothing'}, there are {right}",
                    f"set it to {right}",
                    repair,
                )

    def _stale_shows(self) -> Iterator[Finding]:
        with self._session.use() as client:
            shows = map(name_of, client.sscan_iter(self._keys.active, count=_STEP))
            for chunk in _chunks(shows):
                lengths = (
                    [client.exists(self._keys.list(show)) for show in chunk]
                    if self._split
                    else self._many("exists", [self._keys.list(show) for show in chunk])
                )
                for show, there in zip(chunk, lengths, strict=True):
                    if not there:
                        repair = ([self._keys.active, self._keys.list(show)], ["stale", show])
                        found = "its list is empty"
                        yield self._finding(FaultKind.STALE_SHOW, show, found, "take it out of the active set", repair)

    def _lists(self) -> Iterator[Finding]:
        """Lists whose shows the active set lacks, and their elements that the worker would drop."""
        for key in self._keys_like(self._keys.lists, "list"):
            show = key.removeprefix(self._keys.lists)
            with self._session.use() as client:
                lacking = self._is(self._keys.active, "set") and not client.sismember(self._keys.active, show)
                length = client.llen(key)
            if lacking:
                repair = ([self._keys.active, key], ["lacking", show])
                found = f"{length} wait in its list"
                yield self._finding(FaultKind.MISSING_SHOW, show, found, "put it into the active set", repair)
            for raw in self._elements(key):
                try:
                    read_item(raw)
                except WireError as error:
                    yield self._finding(FaultKind.UNREADABLE, key, f"the worker drops an element of it: {error}")

    def _leftovers(self) -> Iterator[Finding]:
        """Entries of the item map whose items wait in no list."""
        by_show: dict[str, list[str]] = {}
        with self._session.use() as client:
            for item, show in client.hscan_iter(self._keys.item_map, count=_STEP):
                by_show.setdefault(name_of(show), []).append(name_of(item))
        for show, items in by_show.items():
            waiting = self._waiting(show)
            for chunk in _chunks(item for item in items if item not in waiting):
                yield from self._left(show, chunk)

    def _left(self, show: str, items: Sequence[str]) -> Iterator[Finding]:
        for item, score in zip(items, self._scores(self._keys.positions(show), items), strict=True):
            if score is None or score / 1e9 <= self._now - self._grace:
                keys = [self._keys.item_map, self._keys.positions(show), self._keys.timeouts(show)]
                repair = (keys, ["leftover", item, show, "" if score is None else f"{score:.17g}"])
                fix = "take it out of the map, the positions and the timeouts"
                found = f"the queue of show {show} has no such item"
                finding = self._finding(FaultKind.ITEM_MAP, item, found, fix, repair)
                yield replace(finding, undated=score is None)

    def _waiting(self, show: str) -> set[str]:
        found = set()
        for raw in self._elements(self._keys.list(show)):
            try:
                found.add(read_item(raw).id)
            except WireError:
                continue
        return found

    def _elements(self, key: str) -> Iterator[bytes]:
        """From the head: what is pushed meanwhile moves elements towards the tail, so that none is missed."""
        at = 0
        while True:
            with self._session.use() as client:
                page: list[bytes] = client.lrange(key, at, at + _STEP - 1)
            yield from page
            at += len(page)
            if not page:
                return

    def _keys_like(self, beginning: str, kind: str) -> Iterator[str]:
        seen: set[str] = set()
        with self._session.use() as client:
            for raw in client.scan_iter(match=f"{beginning.translate(_GLOB)}*", count=1000, _type=kind):
                key = name_of(raw)
                if key not in seen:
                    seen.add(key)
                    yield key

    def _scores(self, key: str, members: Sequence[str]) -> list[float | None]:
        if not members:
            return []
        with self._session.use() as client:
            found: list[float | None] = client.zmscore(key, list(members))
            return found

    def _many(self, command: str, keys: Sequence[str]) -> list[Any]:
        with self._session.use() as client:
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                getattr(pipeline, command)(key)
            answers: list[Any] = pipeline.execute()
            return answers

    def _finding(
        self, kind: FaultKind, subject: str, found: str, fix: str = "", repair: Repair | None = None
    ) -> Finding:
        if self._split and repair:
            fix, repair = "", None  # no script spans slots
        return Finding(Fault(kind=kind, queue=self._queue, subject=subject, found=found, fix=fix), repair)


def faults(session: Session, keys: Keys, queue: str, grace: float, *, split: bool) -> Iterator[Fault]:
    """See ports.DeadLetterQueue."""
    return (finding.fault for finding in Doctor(session, keys, queue, grace, split=split).findings())


def mend(
    session: Session, keys: Keys, queue: str, grace: float, progress: Callable[[Fault], None], *, split: bool
) -> int:
    """See ports.DeadLetterQueue."""
    mended = 0
    findings = Doctor(session, keys, queue, grace, split=split).findings()
    for finding in _in_time(findings, min(grace, _MOMENT)):
        if finding.repair and session.call("mend", *finding.repair):
            mended += 1
            progress(finding.fault)
    return mended


def _in_time(findings: Iterator[Finding], moment: float) -> Iterator[Finding]:
    """What has no age comes a moment after it was found: its script sees whether the worker went on with it."""
    waiting = deque[tuple[float, Finding]]()
    for finding in findings:
        if finding.undated:
            waiting.append((monotonic() + moment, finding))
        else:
            yield finding
        while waiting and waiting[0][0] <= monotonic():
            yield waiting.popleft()[1]
    for due, finding in waiting:
        sleep(max(0.0, due - monotonic()))
        yield finding


def _chunks(names: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(islice(names, _STEP)):
        yield chunk

"""The story of one key: who it is, what every source knows, and what is missing."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Final, cast

from ticketops.domain.deadletters import QueueKind
from ticketops.domain.operations import AuditEntry
from ticketops.domain.outbox import EventRow
from ticketops.domain.subjects import Transition
from ticketops.domain.trace.facts import Consumers, EmailEntries, Facts, Identity, Letters, Record
from ticketops.domain.trace.gaps import Gap, gaps
from ticketops.domain.trace.timeline import Entry, timeline
from ticketops.services.side_by_side import Answer, ask
from ticketops.services.trace.gather import Gathering
from ticketops.services.trace.identify import Identifier
from ticketops.services.trace.places import Ground, Places
from ticketops.services.trace.records import RecordHunt, RecordsFound

_SHARES: Final = (0.45, 0.3, 0.15, 0.1)
"""Parts of the time-out: who it is, what is known, records, operations. What one leaves over the next one has."""
_SILENT: Final = 5
"""Groups that are named of those that could not be looked at."""
_LETTERS: Final = "dead letters of "
_QUEUES: Final = "queues"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """How one source answered."""

    name: str
    error: str = ""
    """Why it could not be asked; empty where it could."""
    hint: str = ""
    note: str = ""
    """What was left out."""
    unreachable: bool = False
    took: float = 0.0
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that `trace` shows."""

    at: datetime
    facts: Facts
    entries: tuple[Entry, ...]
    gaps: tuple[Gap, ...]
    sources: tuple[SourceState, ...]

    @property
    def identity(self) -> Identity:
        """Who it is about."""
        return self.facts.identity

    @property
    def known(self) -> bool:
        """False where no source has anything of it."""
        return not self.facts.empty

    @property
    def unreachable(self) -> bool:
        """True where a source could not be asked."""
        return any(source.error for source in self.sources)


class Tracer:
    """Asks in rounds, each side by side; at most the time-out and a tenth."""

    def __init__(
        self, places: Places, ground: Ground, *, now: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self._places = places
        self._ground = ground
        self._now = now
        self._monotonic = monotonic

    def trace(self, key: str, timeout: float, progress: Callable[[int], None]) -> Story:
        """The story; `timeout` in seconds for all of it, `progress` gets the number of Kafka records read so far."""
        clock = _Clock(self._monotonic, timeout)
        found = Identifier(self._places, self._ground).identify(key, clock.upto(1) / 1.5)
        who, answers = found.identity, dict(found.answers)
        gathering = Gathering(self._places, self._ground, who, found.shows)
        answers |= _kept(answers, ask(gathering.questions(), clock.upto(2)))
        events = cast("Sequence[EventRow] | None", answers["outbox"].value) or ()
        moves = cast("Sequence[Transition] | None", answers["transitions"].value) or ()
        hunt = partial(self._records, who, events, moves, progress)
        answers |= ask({"records": hunt}, clock.upto(3))
        records = answers["records"].value
        hunted = records if isinstance(records, RecordsFound) else None
        letters = _letters(answers)
        ids = self._items(who, events, letters, hunted)
        answers |= ask({"operations": partial(self._operations, ids)}, clock.upto(4))
        facts = _facts(who, answers, letters, hunted)
        now = self._now()
        return Story(
            at=now,
            facts=facts,
            entries=timeline(facts),
            gaps=gaps(facts, self._ground.expected, now),
            sources=tuple(source_state(name, answer) for name, answer in answers.items()),
        )

    def _records(
        self,
        who: Identity,
        events: Sequence[EventRow],
        moves: Sequence[Transition],
        progress: Callable[[int], None],
        timeout: float,
    ) -> RecordsFound:
        with closing(self._places.records(timeout)) as search:
            return RecordHunt(search, self._ground, who, timeout, progress).hunt(events, moves)

    def _items(
        self, who: Identity, events: Sequence[EventRow], letters: Mapping[str, Letters], hunted: RecordsFound | None
    ) -> list[tuple[str, str, str]]:
        """Queue, id and origin of what operations may have been done to: also of what is in no queue any more."""
        items = [(one.queue, one.id, one.origin) for found in letters.values() for one in found.letters]
        records: Sequence[Record] = hunted.ordered() if hunted else ()
        origins = {
            QueueKind.OUTBOX: [str(event.id) for event in events],
            QueueKind.REDIS: list(who.keys),
            QueueKind.KAFKA: [record.position for record in records],
            QueueKind.COMPENSATIONS: [],
        }
        known = {(queue, origin) for queue, _, origin in items}
        for queue, kind in self._ground.kinds.items():
            items += [(queue, origin, origin) for origin in origins[kind] if (queue, origin) not in known]
        return items

    def _operations(self, items: Sequence[tuple[str, str, str]], timeout: float) -> list[AuditEntry]:
        deadline = self._monotonic() + timeout
        entries: dict[tuple[object, ...], AuditEntry] = {}
        glance = self._places.done(timeout)
        if glance is not None:
            with closing(glance):
                if glance.untouched(items):
                    return []
        with closing(self._places.store(timeout)) as store:
            for queue, item, origin in items:
                if self._monotonic() < deadline:
                    for entry in store.history(queue, item, origin):
                        entries[entry.at, entry.action, entry.target, entry.operation] = entry
        return list(entries.values())


class _Clock:
    """Shares the time-out out among the rounds."""

    def __init__(self, monotonic: Callable[[], float], timeout: float) -> None:
        self._monotonic = monotonic
        self._started = monotonic()
        self._timeout = timeout

    def upto(self, rounds: int) -> float:
        """Seconds until the end of so many rounds."""
        return max(self._started + self._timeout * sum(_SHARES[:rounds]) - self._monotonic(), 0.05)


def _kept(before: Mapping[str, Answer[object]], after: Mapping[str, Answer[object]]) -> dict[str, Answer[object]]:
    """The later answers; who the key is stays told by the earlier ones."""
    return {name: answer for name, answer in after.items() if name not in before or name != "bookings"}


def _letters(answers: Mapping[str, Answer[object]]) -> dict[str, Letters]:
    return {
        name.removeprefix(_LETTERS): answer.value
        for name, answer in answers.items()
        if name.startswith(_LETTERS) and isinstance(answer.value, Letters)
    }


def _facts(
    who: Identity, answers: Mapping[str, Answer[object]], letters: Mapping[str, Letters], hunted: RecordsFound | None
) -> Facts:
    items = [
        item
        for name, answer in answers.items()
        if name.startswith(_QUEUES) and isinstance(answer.value, list)
        for item in answer.value
    ]
    entries = answers["email list"].value

    def rows(name: str) -> Any:  # noqa: ANN401 - each source has rows of its own
        answer = answers[name]
        return answer.value if answer.ok else None

    return Facts(
        identity=who,
        transitions=rows("transitions"),
        events=rows("outbox"),
        records=hunted.ordered() if hunted else None,
        searches=hunted.searches if hunted else (),
        consumers=rows("consumer groups"),
        letters=letters,
        operations=rows("operations"),
        compensations=rows("compensations"),
        emails=rows("emails"),
        entries=entries if isinstance(entries, EmailEntries) else None,
        items=items,
    )


def source_state(name: str, answer: Answer[object]) -> SourceState:
    """How a source answered; one that could not tell all of it has an error too."""
    value, note, error = answer.value, "", answer.error
    if isinstance(value, Letters) and not value.whole:
        note = f"searched {value.searched} items, not all"
    elif isinstance(value, EmailEntries) and not value.whole:
        note = f"searched {value.searched} of {value.depth} entries"
    elif isinstance(value, Consumers):
        silent = (f"{group}: {why}" for group, why in islice(value.silent.items(), _SILENT))
        error = "; ".join(filter(None, [error, value.missing, *silent]))
    return SourceState(
        name=name, error=error, hint=answer.hint, note=note, unreachable=answer.unreachable, took=answer.took
    )

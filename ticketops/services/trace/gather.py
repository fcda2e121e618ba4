"""Asks every source what it knows of an identity, side by side."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from ticketops.domain.deadletters import DeadLetter, Narrowing, QueueKind
from ticketops.domain.lag.looks import GroupName, GroupSeen, Look
from ticketops.domain.lag.samples import GroupState
from ticketops.domain.outbox import EventRow
from ticketops.domain.subjects import Transition
from ticketops.domain.trace.facts import (
    CompensationRow,
    Consumers,
    EmailEntries,
    EmailRow,
    Identity,
    Letters,
    QueueItem,
    Reader,
)
from ticketops.domain.trace.naming import concerns
from ticketops.services.side_by_side import Question
from ticketops.services.trace.places import Ground, Places

_MOVES: Final = 1_000
_EVENTS: Final = 200
_ROWS: Final = 200
_ELEMENTS: Final = 20_000
"""Elements of one list in Redis that are looked at."""
_CLOCKS: Final = timedelta(hours=1)
"""The email workers' database may have another clock."""
_LETTERS: Final = 100
"""Dead letters of one queue that are told."""
_SEARCH: Final = 1.0
"""Seconds for which a queue is searched for dead letters that no index finds."""
_LISTING: Final = 0.4
"""Part of the time-out for the list of groups: a broker that is silent must not cost what the others know."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_SEARCHED: Final = frozenset({QueueKind.REDIS, QueueKind.KAFKA})
"""Kinds whose items may be about a booking without having it as their key."""


class Gathering:
    """The questions about one identity; each opens what it asks, in its own thread."""

    def __init__(self, places: Places, ground: Ground, who: Identity, shows: Sequence[str]) -> None:
        self._places = places
        self._ground = ground
        self._who = who
        self._shows = shows

    def questions(self) -> dict[str, Question]:
        """By the source's name."""
        asked: dict[str, Question] = {
            "transitions": self.transitions,
            "outbox": self.events,
            "compensations": self.compensations,
            "emails": self.emails,
            "email list": self.entries,
            "consumer groups": self.readers,
        }
        asked |= {f"dead letters of {name}": partial(self.letters, name) for name in self._places.letters}
        asked |= {f"queues {prefix}".strip(): partial(self.items, prefix) for prefix in self._places.items}
        return asked

    def transitions(self, timeout: float) -> list[Transition]:
        """The history; of a key that is no booking's too, for the service writes it apart."""
        booking = self._who.booking
        with closing(self._places.states(timeout)) as view:
            return view.history(booking.key if booking else self._who.key, limit=_MOVES)

    def events(self, timeout: float) -> list[EventRow]:
        """Outbox events with their payloads, oldest first."""
        with closing(self._places.outbox(timeout)) as story:
            return sorted(story.of_keys(self._ground.types, self._who.keys, _EVENTS), key=_age)

    def compensations(self, timeout: float) -> list[CompensationRow]:
        """What had to be undone."""
        booking = self._who.booking
        with closing(self._places.story(timeout)) as story:
            return story.compensations(booking.id if booking else None, self._who.keys, _ROWS)

    def emails(self, timeout: float) -> list[EmailRow]:
        """Email jobs since the booking was made."""
        booking = self._who.booking
        with closing(self._places.emails(timeout)) as story:
            since = booking.created_at - _CLOCKS if booking and booking.created_at else None
            return story.jobs(self._who.keys, since, _ROWS)

    def entries(self, timeout: float) -> EmailEntries:
        """Entries of the list of email jobs."""
        with closing(self._places.items[""](timeout)) as queues:
            return queues.email_entries(self._who.keys, _ELEMENTS, _until(timeout))

    def items(self, prefix: str, timeout: float) -> list[QueueItem]:
        """Items in the shows' queues."""
        with closing(self._places.items[prefix](timeout)) as queues:
            shows = [*self._shows, *(show for key in self._who.keys if (show := queues.show_of(key)))]
            return queues.items(shows, self._who.keys, _ELEMENTS, _until(timeout))

    def letters(self, name: str, timeout: float) -> Letters:
        """Dead letters of one queue: by key where the place has an index, the rest as far as the time allows."""
        search = _Search(self._who.keys, _until(timeout))
        if self._is_empty(name, timeout):
            return Letters(letters=(), searched=0, whole=True)
        with closing(self._places.letters[name](timeout)) as queue:
            for key in self._who.keys:
                search.through(queue.scan(Narrowing(key=key)), _until(timeout))
            if self._ground.kinds[name] in _SEARCHED:
                search.through(queue.scan(Narrowing()), _until(min(timeout, _SEARCH)))
        return Letters(letters=tuple(search.found.values()), searched=search.searched, whole=search.whole)

    def _is_empty(self, name: str, timeout: float) -> bool:
        glance = self._places.glances[name](timeout)
        if glance is None:
            return False
        with closing(glance):
            holding = glance.holding(0)
        return holding is not None and not holding.count

    def readers(self, timeout: float) -> Consumers:
        """The groups that count, on the partitions of the topics that count; those that should be there, by name."""
        expected = self._ground.expected.groups
        with closing(self._places.lag(timeout)) as source:
            deadline = time.monotonic() + timeout
            listing = source.groups(timeout * _LISTING)
            listed = {one.group: one for one in listing.groups if self._ground.counts(one.group)}
            missed = {name: GroupName(name, "classic", GroupState.UNKNOWN) for name in expected.values()}
            look = source.look(list((missed | listed).values()), max(deadline - time.monotonic(), 0.1))
        topics = {*self._ground.topics.values(), *expected}
        heard = [seen for seen in look.groups if not seen.error]
        return Consumers(
            readers=tuple(one for seen in heard for one in _readers(seen, look) if one.topic in topics),
            members={one.group: one.members for one in heard if one.group in listed or one.committed or one.members},
            silent={one.group: one.error for one in look.groups if one.error},
            missing=listing.missing,
        )


class _Search:
    """Dead letters that are about the keys."""

    def __init__(self, keys: Sequence[str], until: Callable[[], bool]) -> None:
        self._keys = keys
        self._until = until
        self.found: dict[str, DeadLetter] = {}
        self.searched = 0
        self.whole = True

    def through(self, letters: Iterator[DeadLetter], until: Callable[[], bool]) -> None:
        for letter in letters:
            if self._until() or until() or len(self.found) >= _LETTERS:
                self.whole = False
                return
            self.searched += 1
            if concerns(letter, self._keys, frozenset()):
                self.found[letter.id] = letter


def _until(timeout: float) -> Callable[[], bool]:
    deadline = time.monotonic() + timeout
    return lambda: time.monotonic() >= deadline


def _age(event: EventRow) -> tuple[datetime, int]:
    return event.created_at or _NEVER, event.seq or 0


def _readers(seen: GroupSeen, look: Look) -> Iterator[Reader]:
    for partition in sorted({*seen.committed, *seen.holders}):
        log = look.logs.get(partition)
        yield Reader(
            group=seen.group,
            topic=partition.topic,
            partition=partition.number,
            committed=seen.committed.get(partition),
            end=log.end if log else None,
            members=seen.members,
            state=seen.state.value,
        )

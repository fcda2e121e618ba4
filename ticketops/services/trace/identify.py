"""Finds out what a key is: everything that may know it is asked side by side."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final

from ticketops.domain.deadletters import DeadLetter
from ticketops.domain.outbox import EventRow
from ticketops.domain.subjects import Subject
from ticketops.domain.trace.facts import Identity, Matched
from ticketops.domain.trace.naming import how, identity, letter_may_be, uuid_of, words_of
from ticketops.errors import NotFoundError
from ticketops.services.side_by_side import Answer, Question, ask
from ticketops.services.trace.places import Ground, Places

_OTHERS: Final = 20
"""Bookings of one show that are named."""


@dataclass(frozen=True, slots=True)
class _Bookings:
    """The bookings that a word means, the one to be told first."""

    matched: Matched
    subjects: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class _Queued:
    """The show in whose queue an item of this id is."""

    show: str


@dataclass(frozen=True, slots=True)
class Identified:
    """Who the key means, and what the sources said on the way."""

    identity: Identity
    shows: tuple[str, ...]
    answers: dict[str, Answer[object]]


class Identifier:
    """Asks in two rounds: the key, and then what the first answers name."""

    def __init__(self, places: Places, ground: Ground) -> None:
        self._places = places
        self._ground = ground

    def identify(self, key: str, timeout: float) -> Identified:
        """Who the key means; without a match, an identity that has the key alone."""
        answers = ask(self._questions(key), timeout)
        values = [answer.value for answer in answers.values()]
        events = [value for value in values if isinstance(value, EventRow)]
        letters = [value for value in values if isinstance(value, DeadLetter)]
        queued = [value.show for value in values if isinstance(value, _Queued)]
        words = [word for event in events for word in words_of(event.aggregate_id, payload=event.payload)]
        words += [word for one in letters for word in words_of(one.key, one.origin, payload=one.payload)]
        found, matched = answers["bookings"].value, list(_matched(key, events, letters, queued))
        if isinstance(found, _Bookings):
            matched = [found.matched, *matched]
        elif answers["bookings"].ok and words:
            question = partial(self._bookings, list(dict.fromkeys(words)))
            answers["bookings"] = ask({"bookings": question}, timeout / 2)["bookings"]
            found = answers["bookings"].value
        subjects = found.subjects if isinstance(found, _Bookings) else ()
        shows = [*queued, *(one.event_id for one in subjects[:1] if one.event_id)]
        who = identity(key, matched, subjects, words=words, events=events)
        return Identified(who, tuple(dict.fromkeys(shows)), answers)

    def _questions(self, key: str) -> dict[str, Question]:
        questions: dict[str, Question] = {
            "bookings": partial(self._bookings, [key]),
            "outbox": partial(self._event, key),
        }
        for name in self._places.letters:
            if letter_may_be(self._ground.kinds[name], key):
                questions[f"dead letters of {name}"] = partial(self._letter, name, key)
        for prefix in self._places.items:
            questions[f"queues {prefix}".strip()] = partial(self._item, prefix, key)
        return questions

    def _bookings(self, words: Sequence[str], timeout: float) -> _Bookings | None:
        with closing(self._places.bookings(timeout)) as store:
            for word in words:
                if found := store.find(word):
                    return _Bookings(how(word, found[0]), tuple(reversed(found)))
            for matched, keys in self._other_names(words[0], timeout):
                if subjects := tuple(subject for key in keys for subject in store.find(key)):
                    return _Bookings(matched, subjects)
        return None

    def _other_names(self, word: str, timeout: float) -> Iterator[tuple[Matched, list[str]]]:
        with closing(self._places.story(timeout)) as story:
            yield Matched.IDEMPOTENCY, story.by_idempotency_key(word)
            yield Matched.SHOW, story.of_show(word, _OTHERS)

    def _event(self, key: str, timeout: float) -> EventRow | None:
        """The event of this id, else one of the aggregate of this id."""
        event_id = uuid_of(key)
        with closing(self._places.outbox(timeout)) as story:
            found = story.event(event_id) if event_id is not None else None
            return found or next(iter(story.of_keys(self._ground.types, [key], 1)), None)

    def _letter(self, name: str, key: str, timeout: float) -> DeadLetter | None:
        with closing(self._places.letters[name](timeout)) as queue:
            try:
                return next(iter(queue.get([key])), None)
            except NotFoundError:
                return None

    def _item(self, prefix: str, key: str, timeout: float) -> _Queued | None:
        with closing(self._places.items[prefix](timeout)) as queues:
            show = queues.show_of(key)
            return None if show is None else _Queued(show)


def _matched(
    key: str, events: Sequence[EventRow], letters: Sequence[DeadLetter], queued: Sequence[str]
) -> Iterator[Matched]:
    yield from (Matched.EVENT for event in events if str(event.id) == str(uuid_of(key)))
    yield from (Matched.AGGREGATE for event in events if event.aggregate_id == key)
    yield from (Matched.DEAD_LETTER for _ in letters)
    yield from (Matched.ITEM for _ in queued)

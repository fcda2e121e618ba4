"""What `trace` reads of the booking worker's queues and of the list of email jobs; bounded, changes nothing."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.domain.trace.facts import EmailEntries, QueueItem
from ticketops.domain.wire.items import BookingItem, decode_item
from ticketops.errors import WireError
from ticketops.options import RedisOptions

_STEP: Final = 500


class RedisQueueStory:
    """Implements ports.trace.QueueStory."""

    def __init__(self, options: RedisOptions, *, prefix: str = "", email_list: str) -> None:
        self._session = Session(options)
        self._keys = Keys(options.queue, prefix)
        self._email_list = email_list

    def show_of(self, item: str) -> str | None:
        """See ports.trace.QueueStory."""
        with self._session.use() as client:
            raw: bytes | None = client.hget(self._keys.item_map, _sent(item))
        return None if raw is None else raw.decode(errors="surrogateescape")

    def items(self, shows: Sequence[str], keys: Sequence[str], most: int, until: Callable[[], bool]) -> list[QueueItem]:
        """See ports.trace.QueueStory."""
        wanted = frozenset(keys)
        return [item for show in dict.fromkeys(shows) for item in self._of_show(show, wanted, most, until)]

    def _of_show(self, show: str, wanted: frozenset[str], most: int, until: Callable[[], bool]) -> Iterator[QueueItem]:
        """From the tail, where the worker takes."""
        name = _sent(self._keys.list(show))
        with self._session.use() as client:
            depth = int(client.llen(name))
        ahead = 0
        while ahead < min(depth, most) and not until():
            page = self._page(name, -ahead - _STEP, -ahead - 1)
            for raw in reversed(page):
                item = _read(raw)
                if item is not None and _means(item, wanted):
                    yield QueueItem(
                        id=item.id,
                        show=show,
                        ahead=ahead,
                        depth=depth,
                        enqueued_at=item.enqueued_at.moment(),
                        expires_at=item.expires_at.moment(),
                    )
                ahead += 1
            if len(page) < _STEP:
                return

    def email_entries(self, keys: Sequence[str], most: int, until: Callable[[], bool]) -> EmailEntries:
        """See ports.trace.QueueStory."""
        wanted, found, searched = frozenset(keys), set[str](), 0
        with self._session.use() as client:
            depth = int(client.llen(self._email_list))
        while searched < min(depth, most) and not until():
            page = self._page(self._email_list, searched, searched + _STEP - 1)
            found |= {name for raw in page for name in _named(raw, wanted)}
            searched += len(page)
            if len(page) < _STEP:
                break
        return EmailEntries(ids=frozenset(found), searched=searched, depth=depth)

    def close(self) -> None:
        """See ports.trace.QueueStory."""
        self._session.close()

    def _page(self, name: Any, start: int, end: int) -> list[bytes]:  # noqa: ANN401 - text or bytes
        with self._session.use() as client:
            page: list[bytes] = client.lrange(name, start, end)
            return page


def _sent(text: str) -> bytes:
    """Bytes for a name that came from outside: what is no UTF-8 goes as it came."""
    return text.encode(errors="surrogateescape")


def _read(raw: bytes) -> BookingItem | None:
    try:
        return decode_item(raw)
    except WireError:
        return None


def _means(item: BookingItem, wanted: frozenset[str]) -> bool:
    return item.id in wanted or any(value in wanted for value in (item.metadata or {}).values())


def _named(raw: bytes, wanted: frozenset[str]) -> Iterator[str]:
    """The id of an entry that names one of the keys."""
    try:
        entry = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if isinstance(entry, dict):
        variables = entry.get("variables")
        told = variables.values() if isinstance(variables, dict) else ()
        if entry.get("id") in wanted or any(isinstance(value, str) and value in wanted for value in told):
            yield str(entry.get("id"))

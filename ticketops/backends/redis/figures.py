"""The booking worker's Redis in a snapshot: the server, and the shows' queues; no command reads a whole queue."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.domain.lag.backlogs import Waiting
from ticketops.domain.overview.emails import EmailEntries
from ticketops.domain.overview.snapshot import BackendFigures
from ticketops.errors import WireError
from ticketops.options import RedisOptions

_PAGE: Final = 500
"""Members of the active set, and commands, in one round trip."""


class RedisFigures:
    """Answers about one server. One instance serves one thread."""

    def __init__(self, options: RedisOptions, *, email_list: str) -> None:
        self._session = Session(options)
        self._keys = Keys(options.queue)
        self._email_list = email_list

    def backend(self) -> BackendFigures:
        """Version, role and memory."""
        with self._session.use() as client:
            found: dict[str, Any] = client.info() if not self._session.is_cluster else _first(client.info())
        server = "Valkey" if "valkey_version" in found else "Redis"
        version = found.get("valkey_version") or found.get("redis_version", "")
        role = found.get("role", "")
        return BackendFigures(
            latency=0.0, version=f"{server} {version}", detail=f"{role}, {found.get('used_memory_human', '?')} used"
        )

    def shows(self) -> tuple[Waiting, ...]:
        """The shows with items, the deepest first: of the active set, which the worker keeps approximately."""
        now, found = self._session.clock(), list[Waiting]()
        with self._session.use() as client:
            for shows in _pages(client.sscan_iter(self._keys.active, count=_PAGE)):
                pipe = client.pipeline(transaction=False)
                for show in shows:
                    key = self._keys.list(show).encode(errors="surrogateescape")
                    pipe.llen(key)
                    pipe.lindex(key, -1)
                answers = pipe.execute(raise_on_error=False)
                for show, depth, tail in zip(shows, answers[::2], answers[1::2], strict=True):
                    if isinstance(depth, int) and depth:
                        found.append(Waiting(_shown(show), depth, _age(tail, now)))
        return tuple(sorted(found, key=lambda show: (-show.depth, show.topic)))

    def email_entries(self, limit: int) -> EmailEntries:
        """The list of email jobs: its depth, and its entries where there are at most `limit`."""
        with self._session.use() as client:
            depth = int(client.llen(self._email_list))
            entries = client.lrange(self._email_list, 0, -1) if depth <= limit else []
        return EmailEntries(len(entries) if entries else depth, tuple(entries))

    def close(self) -> None:
        """Give up the connection; idempotent."""
        self._session.close()


def _age(tail: object, now: datetime) -> float | None:
    """Seconds since the item that is taken next was put there; None where no decoder accepts it."""
    if not isinstance(tail, bytes):
        return None
    from ticketops.domain.wire.items import decode_item  # noqa: PLC0415 - the codec, only where something waits

    try:
        moment = decode_item(tail).enqueued_at.moment()
    except WireError:
        return None
    return None if moment is None else max((now - moment).total_seconds(), 0.0)


def _shown(show: str) -> str:
    """A show's name for people and for Prometheus: bytes that are no UTF-8 become marks."""
    return show.encode(errors="surrogateescape").decode(errors="replace")


def _pages(shows: Iterator[bytes]) -> Iterator[list[str]]:
    page: list[str] = []
    for show in shows:
        page.append(show.decode(errors="surrogateescape"))
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _first(by_node: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return next(iter(by_node.values()), {})

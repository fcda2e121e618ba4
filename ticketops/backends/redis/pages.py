"""A sorted set read in pages while others add and remove: every member that stays is seen once, in order."""

from collections.abc import Iterator, Sequence
from typing import Final

from ticketops.backends.redis.session import Session

PAGE: Final = 200
Member = tuple[bytes, float]
"""A member and its score; the set is ordered by score, then by member."""


def pages(
    session: Session, key: str, *, low: float = float("-inf"), high: float = float("inf")
) -> Iterator[list[Member]]:
    """The members whose score is from `low` to `high`, in pages."""
    with session.use() as client:
        rank = client.zcount(key, "-inf", f"({low!r}") if low > float("-inf") else 0
    last: Member | None = None
    while True:
        page, rank = _next(session, key, rank, last)
        wanted = [member for member in page if member[1] <= high]
        if wanted:
            yield wanted
        if len(wanted) < len(page) or not page:
            return
        last = page[-1]


def _next(session: Session, key: str, rank: int, last: Member | None) -> tuple[list[Member], int]:
    """The page after `last`, which was at `rank` - 1, and the rank after that page."""
    if last is None:
        page = _range(session, key, rank, PAGE)
        return page, rank + len(page)
    page = _range(session, key, rank - 1, PAGE + 1)
    if page and page[0] == last:
        return page[1:], rank + len(page) - 1
    while True:  # somebody added or removed members before it
        rank = _rank_after(session, key, last)
        page = _range(session, key, rank, PAGE)
        rest = [member for member in page if _place(member) > _place(last)]
        if rest or not page:
            return rest, rank + len(page)


def _range(session: Session, key: str, start: int, count: int) -> list[Member]:
    with session.use() as client:
        found: list[Member] = client.zrange(key, max(start, 0), max(start, 0) + count - 1, withscores=True)
        return [(member, float(score)) for member, score in found]


def _rank_after(session: Session, key: str, last: Member) -> int:
    """How many members are not after `last`, which may have left: a binary search among those of its score."""
    member, score = last
    with session.use() as client:
        low: int = client.zcount(key, "-inf", f"({score!r}")
        high: int = client.zcount(key, "-inf", repr(score))
    while low < high:
        middle = (low + high) // 2
        found = _range(session, key, middle, 1)
        if found and _place(found[0]) <= (score, member):
            low = middle + 1
        else:
            high = middle
    return low


def _place(member: Member) -> tuple[float, bytes]:
    return member[1], member[0]


def newest(session: Session, key: str, count: int) -> Sequence[Member]:
    """The members with the highest scores."""
    with session.use() as client:
        found: list[Member] = client.zrange(key, -count, -1, withscores=True)
        return [(member, float(score)) for member, score in found]

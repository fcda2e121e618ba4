"""Which shard an aggregate belongs to, and how relays share shards out.

The hash is MD5: equal in Python and in every PostgreSQL version, which hashtext is not.
"""

import hashlib
from collections.abc import Sequence


def shard_hash(aggregate_id: str) -> int:
    """The first 31 bits of MD5 over the UTF-8 bytes; equals SQL `ticketops.shard_hash(text)`."""
    return int.from_bytes(_digest(aggregate_id)[:4]) >> 1


def shard_of(aggregate_id: str, shards: int) -> int:
    """The shard, 0 … shards-1, of an aggregate."""
    return shard_hash(aggregate_id) % shards


def rollout_bucket(aggregate_id: str) -> int:
    """A bucket 0 … 99, independent of the shard; equals SQL `ticketops.rollout_bucket(text)`."""
    return (int.from_bytes(_digest(aggregate_id)[4:8]) >> 1) % 100


def _digest(aggregate_id: str) -> bytes:
    return hashlib.md5(aggregate_id.encode(), usedforsecurity=False).digest()


def fair_share(relay_id: str, live: Sequence[str], shards: int) -> int:
    """How many shards `relay_id` may hold when `live` relays share them: equal but for one.

    The first relays in sorted order hold the odd ones, so every relay computes the same shares.
    """
    members = sorted({*live, relay_id})
    each, rest = divmod(shards, len(members))
    return each + (1 if members.index(relay_id) < rest else 0)

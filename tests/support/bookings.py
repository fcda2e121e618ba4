"""A booking worker's keys, with a queue on them and hands for tests."""

from dataclasses import dataclass
from typing import Any

from support.booking_worker import BookingWorker
from support.deadletters import RedisBox
from ticketops.domain.deadletters import DeadLetter, Fault, FaultKind, Narrowing
from ticketops.ports.deadletters import DeadLetterQueue


@dataclass
class Bookings:
    """What a test needs of one booking worker."""

    box: RedisBox
    prefix: str

    @property
    def worker(self) -> BookingWorker:
        return self.box.worker

    @property
    def redis(self) -> Any:
        return self.box.worker.redis

    @property
    def queue(self) -> DeadLetterQueue:
        return self.box.queue

    def key(self, name: str) -> str:
        return self.prefix + name

    def only(self) -> DeadLetter:
        (letter,) = self.queue.scan(Narrowing())
        return letter

    def faults(self, grace: float = 60.0) -> list[tuple[FaultKind, str]]:
        return [(fault.kind, fault.subject) for fault in self.queue.faults(grace)]

    def mended(self, grace: float = 60.0) -> list[tuple[FaultKind, str]]:
        told: list[Fault] = []
        assert self.queue.mend(grace, told.append) == len(told)
        return [(fault.kind, fault.subject) for fault in told]

    def names(self) -> set[str]:
        found = self.redis.scan_iter(match=self.prefix + "*", count=1000)
        return {key.decode().removeprefix(self.prefix) for key in found}

    def snapshot(self) -> dict[str, Any]:
        """Everything there is, to see that nothing changed."""
        read = {
            "string": self.redis.get,
            "zset": lambda key: self.redis.zrange(key, 0, -1, withscores=True),
            "list": lambda key: self.redis.lrange(key, 0, -1),
            "set": lambda key: sorted(self.redis.smembers(key)),
            "hash": self.redis.hgetall,
        }
        return {name: read[self.redis.type(self.key(name)).decode()](self.key(name)) for name in self.names()}

"""Requeues everything of a booking worker: `python -m support.booking_requeuer URL PREFIX OPERATION ITEMS_A_CALL`."""

import sys
from contextlib import closing
from itertools import islice
from uuid import UUID

from ticketops.backends.redis.deadletters import RedisDeadLetterQueue
from ticketops.domain.deadletters import Narrowing, Outcome, RequeueOrder
from ticketops.options import RedisOptions


def main(url: str, prefix: str, operation: str, size: str) -> None:
    order = RequeueOrder(operation=UUID(operation), actor="tests@host")
    with closing(RedisDeadLetterQueue(RedisOptions(url=url), "bookings", prefix)) as queue:
        marks = iter([letter.mark for letter in queue.scan(Narrowing())])
        while some := list(islice(marks, int(size))):
            results = queue.requeue(order, some)
            assert {result.outcome for result in results} <= {Outcome.DONE, Outcome.ALREADY}, results


if __name__ == "__main__":
    main(*sys.argv[1:])

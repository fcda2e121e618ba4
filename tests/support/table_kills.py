"""Runs requeues of dead letters in tables, killed by SIGKILL at every step in turn, and resumed.

As a program: `table_kills KIND URL` prints what came of it as JSON. It forks a process for each run.
"""

import json
import os
import signal
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID, uuid4

from sqlalchemy import Engine, event

from support.dead_tables import CompensationDeaths, OutboxDeaths
from support.stores import operation, postgres_place
from support.waiting import eventually
from ticketops.backends.store.operations import SqlOperationStore
from ticketops.domain.deadletters import Mark, RequeueOrder
from ticketops.domain.operations import FrozenItem, OperationState
from ticketops.options import PostgresOptions

KINDS = {"outbox": OutboxDeaths, "compensations": CompensationDeaths}
_ITEMS, _BATCH = 3, 2
_LEASE = 0.05


def work(kind: str, options: PostgresOptions, number: UUID, runner: str) -> None:
    """As the runner of an operation does."""
    with closing(KINDS[kind](options)) as box, closing(SqlOperationStore(postgres_place(options))) as store:
        if store.find(str(number)).state is OperationState.DONE:
            return
        eventually(lambda: store.claim(number, runner, _LEASE))
        while batch := store.pending(number, _BATCH):
            marks = [Mark(item.item.id, item.item.digest) for item in batch]
            results = box.queue.requeue(RequeueOrder(operation=number, actor=runner), marks)
            store.record(number, runner, {i.number: r for i, r in zip(batch, results, strict=True)})
        store.end(number, runner, OperationState.DONE)


def killed_at(step: int, kind: str, options: PostgresOptions, number: UUID) -> bool:
    """Work in another process that dies at a step; False where it has fewer."""
    child = os.fork()
    if child == 0:
        steps = iter(range(1, step + 1))

        def count(*_: object) -> None:
            if next(steps, step) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        for name in ("after_cursor_execute", "commit"):
            event.listen(Engine, name, count)
        work(kind, options, number, f"killed at {step}")
        os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def consume(box: OutboxDeaths | CompensationDeaths) -> list[str]:
    """As a relay or the booking service takes what was put back."""
    taken = box.delivered()
    ids = [UUID(item) for item in taken]
    if isinstance(box, OutboxDeaths):
        query = f"update {box.table} set status = 'PUBLISHED', published_at = now() where id = any(%s)"
    else:
        query = f"update booking.{box.table} set status = 'SUCCEEDED' where compensation_id = any(%s)"
    box.rows.sql(query, ids)
    return taken


def one_round(step: int, kind: str, options: PostgresOptions, box: OutboxDeaths | CompensationDeaths) -> bool:
    """An operation killed at a step, then resumed; some of what it delivered dies again meanwhile."""
    ids = [box.die(f"B-{n}", age=100.0 - n) for n in range(_ITEMS)]
    letters = list(box.queue.get(ids))
    frozen = [FrozenItem(queue=kind, id=one.id, digest=one.digest, origin=one.origin, key=one.key) for one in letters]
    with closing(SqlOperationStore(postgres_place(options))) as store:
        asked = operation(id=uuid4(), cutoff=datetime.now(UTC), queues=(kind,))
        store.create(asked, frozen)
        killed = killed_at(step, kind, options, asked.id)
        first = consume(box)
        again = first[:1]
        for item in again:
            if isinstance(box, CompensationDeaths):
                box.rows.sql(
                    f"update booking.{box.table} set status = 'PENDING' where compensation_id = %s", UUID(item)
                )
            box.die_again(item)
        work(kind, options, asked.id, "resumed")
        counts = Counter(first + consume(box))
        outcomes = Counter(str(item.outcome) for item in store.items(asked.id))
        ended = store.find(str(asked.id))
    assert counts == Counter(dict.fromkeys(ids, 1)), (step, counts)
    assert ended.state is OperationState.DONE, (step, ended)
    assert ended.left == 0, (step, ended)
    assert set(outcomes) <= {"done", "already done"}, (step, outcomes)
    assert {letter.id for letter in box.queue.get(ids)} == set(again), step
    box.queue.remove(uuid4(), [Mark(item) for item in again])
    return killed


def main(kind: str, url: str) -> None:
    options = PostgresOptions(url=url)
    with closing(KINDS[kind](options)) as box:
        step = 1
        while one_round(step, kind, options, box):
            step += 1
        print(json.dumps({"steps": step - 1, "left": box.queue.count()}))  # noqa: T201 - the answer


if __name__ == "__main__":
    main(*sys.argv[1:])

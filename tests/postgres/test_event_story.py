"""What `trace` reads of the outbox is what the operator's own commands read, whatever columns the table has."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from support.outboxes import DEBEZIUM, PostgresBox, Shape, event
from ticketops.backends.postgres.admin import PostgresOutboxAdmin
from ticketops.backends.postgres.event_story import PostgresEventStory, PostgresOperationGlance
from ticketops.config import load
from ticketops.domain.operations import AuditEntry
from ticketops.options import PostgresOptions, RelayOptions
from ticketops.wiring.store import open_operation_store

SHAPES = {"full": Shape(), "bytea": Shape(payload="bytea"), "no seq": Shape(seq=False), "debezium": DEBEZIUM}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def box(request: pytest.FixtureRequest, database: PostgresOptions) -> Iterator[PostgresBox]:
    with closing(PostgresBox(PostgresOptions(url=database.url), request.param)) as made:
        yield made


def test_events_are_what_the_operator_sees(box: PostgresBox) -> None:
    mine = [event("b-1", payload={"n": "ü"}), event("b-1", "PAYMENT"), event("b-1")]
    with box.writing() as writer:
        writer.add(*mine, event("b-2"))
    failed = mine[0].id
    box.sql(
        "insert into ticketops.outbox_failures (scope, event_id, aggregate_type, aggregate_id, state, attempts, error,"
        " first_failed_at, last_failed_at) values (%s, %s, 'BOOKING', 'b-1', 'dead', 3, 'no leader', now(), now())",
        box.scope,
        failed,
    )
    relay = RelayOptions(shards=box.shards)
    with (
        closing(PostgresOutboxAdmin(box.postgres, box.options, relay)) as admin,
        closing(PostgresEventStory(box.postgres, box.options, box.shards, 20)) as story,
    ):
        for one in mine:
            assert story.event(one.id) == admin.show(one.id).event
        found = story.of_keys([], ["b-1", "no\0body", "b-3"], 10)
        assert {row.id for row in found} == {one.id for one in mine}
        assert {row.id for row in story.of_keys(["PAYMENT"], ["b-1"], 10)} == {mine[1].id}
        assert len(story.of_keys([], ["b-1"], 2)) == 2
        assert story.event(uuid4()) is None


def test_what_was_never_touched_needs_no_store(database: PostgresOptions) -> None:
    items = [("payments", "i\0d", "t/0/1"), ("payments", "other", "other")]
    with closing(PostgresOperationGlance(PostgresOptions(url=database.url), 20, missing="")) as glance:
        assert glance.untouched(items)
        assert glance.untouched([])
        config = load(environ={"TICKETOPS_POSTGRES_URL": database.url}).config
        with closing(open_operation_store(config)) as kept:
            entry = AuditEntry(
                at=kept.now(), actor="a@b", action="x", target="payments/t/0/1", reason="", result="done", details={}
            )
            kept.audit(entry)
        assert not glance.untouched(items)
        assert glance.untouched(items[1:])

"""Email jobs in a snapshot: a pending row without an entry in Redis is never sent."""

import json
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from redis import Redis

from ticketops.backends.postgres.email_figures import PostgresEmailFigures
from ticketops.backends.redis.figures import RedisFigures
from ticketops.domain.overview.emails import EmailEntries, EmailRows, email_figures
from ticketops.options import EmailsOptions, PostgresOptions, RedisOptions
from ticketops.services.overview.emails import EmailProbe


@pytest.fixture
def probe(database: PostgresOptions, redis: RedisOptions, redis_prefix: str) -> Iterator[EmailProbe]:
    rows = PostgresEmailFigures(database, EmailsOptions(), 5)
    with closing(EmailProbe(rows, RedisFigures(redis, email_list=f"{redis_prefix}email-jobs"))) as made:
        yield made


def add(database: PostgresOptions, status: str, age: str) -> str:
    with psycopg.connect(database.url, autocommit=True) as connection:
        row = connection.execute(
            "insert into booking.email_jobs (to_emails, template_name, status, created_at)"
            " values ('{a@b}', 't', %s, now() - %s::interval) returning public_id",
            (status, age),
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_rows_and_entries_together(
    database: PostgresOptions, redis: RedisOptions, redis_prefix: str, probe: EmailProbe
) -> None:
    listed = add(database, "pending", "900s")
    add(database, "pending", "800s")
    add(database, "pending", "300s")
    add(database, "failed", "5s")
    with Redis.from_url(redis.url) as client:
        client.lpush(f"{redis_prefix}email-jobs", json.dumps({"id": listed}), b"not json", b"[]")
    found = probe.figures()
    assert (found.pending, found.without_entry, found.failed) == (3, 1, 1)
    assert found.oldest_seconds == pytest.approx(900, abs=30)


def test_an_entry_that_a_worker_takes_between_rows_and_list_is_not_missing(
    database: PostgresOptions, redis: RedisOptions, redis_prefix: str
) -> None:
    job, key = add(database, "pending", "900s"), f"{redis_prefix}email-jobs"

    class Worked(RedisFigures):
        def email_entries(self, limit: int) -> EmailEntries:
            if client.rpop(key):
                with psycopg.connect(database.url, autocommit=True) as connection:
                    connection.execute("update booking.email_jobs set status = 'processing'")
            return super().email_entries(limit)

    with Redis.from_url(redis.url) as client:
        client.lpush(key, json.dumps({"id": job}))
        with closing(
            EmailProbe(PostgresEmailFigures(database, EmailsOptions(), 5), Worked(redis, email_list=key))
        ) as made:
            found = made.figures()
    assert (found.pending, found.without_entry) == (0, 0)


def test_of_a_long_list_so_many_have_no_entry_as_no_workers_hold() -> None:
    rows = EmailRows(pending=10_000, oldest_seconds=1.0, failed=0, old=("a",))
    assert email_figures(rows, EmailEntries(9_000, ())).without_entry == 1000
    assert email_figures(rows, EmailEntries(9_950, ())).without_entry == 0
    assert email_figures(rows, EmailEntries(11_000, ())).without_entry == 0

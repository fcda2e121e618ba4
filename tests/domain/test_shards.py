"""Where aggregates belong: equal in Python and SQL, and shared out evenly."""

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.engines import Postgres
from ticketops.domain.shards import fair_share, rollout_bucket, shard_hash, shard_of

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=100)
NAMES = st.lists(st.text(min_size=1, max_size=8), max_size=12)


@pytest.fixture(scope="module")
def connection(postgres: Postgres, database_template: str) -> Iterator[psycopg.Connection]:
    name = f"hash_{database_template}"
    postgres.create_database(name, database_template)
    with psycopg.connect(postgres.url_of(name), autocommit=True) as made:
        yield made
    postgres.drop_database(name)


@given(keys=st.lists(TEXT, min_size=1, max_size=50))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_sql_and_python_agree(connection: psycopg.Connection, keys: list[str]) -> None:
    query = (
        "select ticketops.shard_hash(k), ticketops.rollout_bucket(k) from unnest(%s::text[]) with ordinality u(k, n)"
    )
    rows = connection.execute(query + " order by n", (keys,)).fetchall()
    assert rows == [(shard_hash(key), rollout_bucket(key)) for key in keys]


def test_known_places_stay_as_they_are() -> None:
    assert [shard_of(key, 16) for key in ("", "B-1", "B-2", "Größe 💺")] == [12, 1, 11, 15]
    assert [rollout_bucket(key) for key in ("", "B-1", "B-2")] == [30, 85, 95]


@given(key=TEXT, shards=st.integers(1, 1024))
def test_a_place_is_within_its_bounds(key: str, shards: int) -> None:
    assert 0 <= shard_hash(key) < 2**31
    assert 0 <= shard_of(key, shards) < shards
    assert 0 <= rollout_bucket(key) < 100


def test_the_bucket_has_nothing_to_do_with_the_shard() -> None:
    keys = [f"K-{n}" for n in range(20_000)]
    chosen = [shard_of(key, 16) for key in keys if rollout_bucket(key) < 10]
    assert len(chosen) == pytest.approx(2000, rel=0.1)
    assert min(map(chosen.count, range(16))) > 80


@given(live=NAMES, shards=st.integers(1, 1024))
def test_shares_add_up_and_differ_by_one(live: list[str], shards: int) -> None:
    members = set(live) or {"me"}
    shares = [fair_share(name, tuple(members), shards) for name in members]
    assert sum(shares) == shards
    assert max(shares) - min(shares) <= 1


def test_a_relay_counts_itself_among_the_living() -> None:
    assert fair_share("b", ("a",), 3) == 1
    assert fair_share("a", ("a", "b"), 3) == 2
    assert fair_share("a", ("b", "a", "a"), 3) == 2
    assert fair_share("only", (), 7) == 7

"""Relays that come and go share the shards; pauses last; no host's clock matters."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from support.chaos import Chaos
from support.ledger import read_topics
from support.relay import SHARDS, MakeRelay, RelayProcess, Site, add, pending
from support.waiting import eventually
from support.writer import Writer

_OWNERS = "select owner, count(*) from ticketops.leases where expires_at > clock_timestamp() and scope = %s group by 1"
_SCOPE = "booking.outbox_events"

_JUMPING_CLOCK = """
import random, sys, time

genuine, jumps = time.time, random.Random(1)
time.time = lambda: genuine() + jumps.choice((-7200, -60, 0, 60, 7200))

from ticketops.cli.main import main
sys.exit(main())
"""


_LONG = {"lease_seconds": 20.0}
"""No relay loses a shard because it gets no CPU for a moment."""


def _shares(site: Site) -> list[int]:
    return sorted(count for _, count in site.rows(_OWNERS, _SCOPE))


def _owned(site: Site, relay: RelayProcess) -> int:
    return dict(site.rows(_OWNERS, _SCOPE)).get(relay.name, 0)


def _read(site: Site, key: str | None = None) -> list[str]:
    return [r.event_id for r in read_topics(site.brokers, site.topics) if key in (None, r.key)]


def test_shares_are_fair_while_relays_come_and_go(site: Site, make_relay: MakeRelay) -> None:
    slow = site.with_(relay=_LONG)
    a, b, c = (make_relay(name, at=slow) for name in "abc")
    a.start()
    eventually(lambda: _shares(site) == [16], 10)
    b.start()
    eventually(lambda: _shares(site) == [8, 8], 10)
    c.start()
    eventually(lambda: _shares(site) == [5, 5, 6], 10)
    assert b.stop() == 0
    assert _owned(site, b) == 0
    eventually(lambda: _shares(site) == [8, 8], 10)
    status = site.run("relay", "status", "-o", "json")
    assert status.code == 0, status.err
    assert [(r["relay_id"], r["state"], r["shards"]) for r in status.json["relays"]] == [
        ("a", "live", 8),
        ("c", "live", 8),
    ]
    assert status.json["shards_without_owner"] == 0
    assert {s["owner"] for s in status.json["shards"]} == {"a", "c"}
    eventually(lambda: a.metric("ticketops_relay_shards") == 8)


def test_a_killed_relay_is_replaced_when_its_lease_ends(site: Site, make_relay: MakeRelay) -> None:
    a, b = make_relay("a").start(), make_relay("b").start()
    eventually(lambda: _shares(site) == [8, 8], 10)
    a.kill()
    ids = [i for n in range(40) for i in add(site, f"K-{n}", '{"n": 1}')]
    eventually(lambda: _owned(site, b) == SHARDS, 10)
    eventually(lambda: pending(site) == 0, 10)
    assert set(_read(site)) == set(ids)
    eventually(lambda: _members(site) == [("a", "gone"), ("b", "live")])


def _members(site: Site) -> list[tuple[str, str]]:
    return [(m["relay_id"], m["state"]) for m in site.run("relay", "status", "-o", "json").json["relays"]]


def test_status_without_a_relay(site: Site, make_relay: MakeRelay) -> None:
    nothing = site.run("relay", "status")
    assert nothing.code == 8
    relay = make_relay("only", relay=_LONG).start()
    eventually(lambda: _shares(site) == [16], 10)
    shown = site.run("relay", "status")
    assert shown.code == 0
    assert "only" in shown.out
    assert relay.stop() == 0
    orphaned = site.run("relay", "status", "-o", "json")
    assert orphaned.code == 8
    assert orphaned.json["shards_without_owner"] == SHARDS


def test_one_relay_id_serves_one_process(site: Site, make_relay: MakeRelay) -> None:
    first = make_relay("same", relay={"lease_seconds": 5.0}).start()
    second = make_relay("other", relay={"lease_seconds": 5.0, "id": "same"})  # which waits for as long
    assert second.run() == 1
    assert "relay id 'same' is in use" in second.log
    assert str(first.pid) in second.log
    assert "relay.id" in second.log
    (event,) = add(site, "K-1", '{"n": 1}')
    eventually(lambda: _read(site) == [event], 10)
    assert first.is_running


def test_shards_that_differ_are_refused(make_relay: MakeRelay) -> None:
    make_relay("a", relay=_LONG).start()
    other = make_relay("b", relay=_LONG | {"shards": 8})
    assert other.run() == 1
    assert "16 shards, not 8" in other.log


@pytest.mark.chaos
def test_a_clock_that_jumps_changes_nothing(site: Site, make_relay: MakeRelay, tmp_path: Path) -> None:
    script = tmp_path / "jumping.py"
    script.write_text(_JUMPING_CLOCK)
    relays: Sequence[RelayProcess] = [
        make_relay("a", launcher=[str(script)], relay=_LONG),
        make_relay("b", relay=_LONG),
    ]
    writer = Writer(site.url)
    writer.prepare()
    chaos = Chaos(site, writer, relays)
    chaos.run([lambda: chaos.write(300)], 3)
    verdict = chaos.verdict(lambda: pending(site))
    assert verdict.kept, verdict
    assert verdict.repeats == 0
    eventually(lambda: _shares(site) == [8, 8])
    eventually(lambda: relays[0].metric(f'ticketops_outbox_published_total{{topic="{site.topics[0]}"}}'))


def _pause(site: Site, *words: str) -> None:
    paused = site.run("relay", "pause", *words, "--reason-text", "a test", "--yes", "-o", "json")
    assert paused.code == 0, paused.err


def _resume(site: Site, *words: str) -> None:
    resumed = site.run("relay", "resume", *words, "--yes")
    assert resumed.code == 0, resumed.err


def test_pauses_last_until_they_are_resumed(site: Site, make_relay: MakeRelay) -> None:
    relay = make_relay().start()
    _pause(site)
    relay.stop()
    ids = add(site, "K-1", '{"n": 1}', '{"n": 2}')
    make_relay("drained", "--drain").run()
    assert pending(site) == 2
    relay.start()
    shown = site.run("relay", "status", "-o", "json").json["pauses"]
    assert [(p["scope"], p["reason"]) for p in shown] == [("all", "a test")]
    assert pending(site) == 2
    _resume(site)
    eventually(lambda: pending(site) == 0, 10)
    assert _read(site) == ids
    again = site.run("relay", "resume", "--yes")
    assert again.code == 5
    actions = site.rows("select action, reason from ticketops.audit where action like 'relay%' order by id")
    assert actions == [("relay pause", "a test"), ("relay resume", "")]


def _noted(site: Site) -> bool:
    """A heartbeat began after the latest change to the pauses."""
    return bool(
        site.one(
            "select min(m.seen_at) > max(a.at) + interval '0.1 s' from ticketops.relay_members m, ticketops.audit a"
        )
    )


def test_a_topic_a_type_or_a_shard_can_be_paused(site: Site, make_relay: MakeRelay) -> None:
    payment = site.topics[1]
    shard = int(site.one("select ticketops.shard_hash('S-1') % 16"))
    other = next(f"O-{n}" for n in range(99) if site.one(f"select ticketops.shard_hash('O-{n}') %% 16 <> %s", shard))
    make_relay().start()
    for words, (kind, key), (free_kind, free_key) in (
        (("--topic", payment), ("PAYMENT", "S-1"), ("BOOKING", "S-1")),
        (("--aggregate-type", "BOOKING"), ("BOOKING", "S-1"), ("PAYMENT", "S-1")),
        (("--shard", str(shard)), ("BOOKING", "S-1"), ("BOOKING", other)),
    ):
        _pause(site, *words)
        eventually(lambda: _noted(site), 5)
        (kept,) = add(site, key, '{"n": 1}', aggregate_type=kind)
        (free,) = add(site, free_key, '{"n": 1}', aggregate_type=free_kind)
        eventually(lambda free=free: free in _read(site), 10)
        assert kept not in _read(site)
        _resume(site, *words)
        eventually(lambda kept=kept: kept in _read(site), 10)


def test_a_read_only_context_is_refused(site: Site, make_relay: MakeRelay) -> None:
    relay = make_relay(env={"TICKETOPS_READ_ONLY": "true"})
    assert relay.run() == 4
    assert "read-only" in relay.log
    assert site.run("relay", "pause", "--yes", env={"TICKETOPS_READ_ONLY": "true"}).code == 4

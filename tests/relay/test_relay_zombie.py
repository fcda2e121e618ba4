"""A relay that hangs at the worst moments, and goes on when its shards are another's."""

import signal
from pathlib import Path

import pytest

from support.ledger import judge, read_topics
from support.relay import MakeRelay, Site, add, pending
from support.waiting import eventually

pytestmark = pytest.mark.chaos

_HANGING = """
import os, signal, sys, time
from ticketops.backends.kafka.publisher import KafkaPublisher
from ticketops.backends.postgres.relay_marks import Marks
from ticketops.backends.postgres.relay_source import PostgresOutboxSource
from ticketops.cli.main import main

def hang():
    # The signal may be taken by another thread a little later; this one must not get past here meanwhile.
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.5)

def hanging(owner, name, before):
    genuine = getattr(owner, name)
    hung = []

    def method(self, first, *arguments, **named):
        fires = len(first) > 1 if name == "start" else True
        if fires and before and not hung:
            hung.append(True)
            hang()
        answer = genuine(self, first, *arguments, **named)
        if fires and not before and not hung:
            hung.append(True)
            hang()
        return answer

    setattr(owner, name, method)

where = os.environ["HANGS"]
if where == "before it sends":
    hanging(KafkaPublisher, "start", before=True)
elif where == "while it sends":
    hanging(KafkaPublisher, "start", before=False)
elif where == "before it marks":
    hanging(PostgresOutboxSource, "settle", before=True)
elif where == "in a transaction":
    hanging(Marks, "published", before=False)
sys.exit(main())
"""


@pytest.mark.parametrize("where", ["before it sends", "while it sends", "before it marks", "in a transaction"])
def test_a_zombie_reorders_and_loses_nothing(site: Site, make_relay: MakeRelay, tmp_path: Path, where: str) -> None:
    script = tmp_path / "hanging.py"
    script.write_text(_HANGING)
    ledger = {f"K-{n}": add(site, f"K-{n}", *('{"n": 1}' for _ in range(10))) for n in range(20)}
    prompt = {"answer_timeout": 2.0}
    zombie = make_relay("zombie", launcher=[str(script)], env={"HANGS": where}, postgres=prompt).start(ready=False)
    eventually(lambda: zombie.is_suspended)
    heir = make_relay("heir", postgres=prompt).start()
    for key, ids in ledger.items():
        ids.extend(add(site, key, *('{"n": 2}' for _ in range(5))))
    eventually(lambda: pending(site) == 0, 20)
    zombie.resume()
    noticed = {"in a transaction": "PostgreSQL is unreachable"}.get(where, "a shard belongs to another relay now")
    zombie.wait_for(noticed)
    for key, ids in ledger.items():
        ids.extend(add(site, key, *('{"n": 3}' for _ in range(5))))
    eventually(lambda: pending(site) == 0, 20)
    verdict = judge(ledger, read_topics(site.brokers, site.topics))
    assert verdict.kept, verdict
    assert verdict.repeats <= 200
    owners = "select count(distinct owner) from ticketops.leases where expires_at > clock_timestamp()"
    eventually(lambda: site.one(owners + " and scope = 'booking.outbox_events'") == 2, 10)
    heir.signal(signal.SIGTERM)
    assert heir.wait() == 0
    assert zombie.stop() == 0

"""What befalls relays while a writer writes; each step waits for what it caused, never for a time."""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from support.ledger import Verdict, judge, read_topics
from support.relay import RelayProcess, Site
from support.waiting import eventually
from support.writer import Writer

Action = Callable[[], None]

_OWNS = "select count(*) from ticketops.leases where owner = %s and slot >= 0 and expires_at > clock_timestamp()"


@dataclass
class Chaos:
    """Some relays, a writer, and what happens to them at random points."""

    site: Site
    writer: Writer
    relays: Sequence[RelayProcess]
    draw: random.Random = field(default_factory=lambda: random.Random(os.environ.get("TICKETOPS_TEST_SEED", "7")))  # noqa: S311

    def run(self, actions: Sequence[Action], times: int) -> None:
        """Do `times` actions in random order, each at a random point, while the writer writes."""
        for relay in self.relays:
            relay.start()
        chosen = [*actions] * (times // len(actions))
        self.draw.shuffle(chosen)
        with self.writer.running():
            for action in chosen:
                self.write(self.draw.randint(20, 200))
                action()
            self.write(100)

    def write(self, count: int) -> None:
        """Wait until so many more events are written."""
        goal = self.writer.written + count
        eventually(lambda: self.writer.written >= goal, 30, every=0.005)

    def kill(self) -> None:
        """Kill -9, and start again at once, under the same id."""
        relay = self._any()
        relay.kill()
        relay.start(ready=False)

    def replace(self) -> None:
        """Ask for a graceful end in the midst of work, and start again."""
        relay = self._any()
        assert relay.stop() == 0, relay.log
        relay.start(ready=False)

    def make_zombie(self) -> None:
        """Suspend one until others have taken all that it owned, then let it go on with what it had in mind."""
        relay = self._any()
        relay.suspend()
        try:
            eventually(lambda: self.site.one(_OWNS, relay.name) == 0, 30)
            self.write(50)
        finally:
            relay.resume()

    def _any(self) -> RelayProcess:
        relay = self.draw.choice(self.relays)
        relay.wait_for("relay started")
        return relay

    def verdict(self, pending: Callable[[], int], timeout: float = 40.0) -> Verdict:
        """Wait until all is published, then read the topics and judge."""
        eventually(lambda: pending() == 0, timeout)
        return judge(self.writer.ledger(), read_topics(self.site.brokers, self.site.topics))

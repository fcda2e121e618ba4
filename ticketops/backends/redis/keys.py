"""The names of all keys, in one place."""

from dataclasses import dataclass

from ticketops.options import RedisQueueOptions


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one booking worker, and TicketOps' own beside them."""

    options: RedisQueueOptions
    prefix: str = ""
    """Put before every name."""

    @property
    def items(self) -> str:
        """The sorted set of dead-letter ids."""
        return self.prefix + self.options.dead_items

    @property
    def stats(self) -> str:
        """The worker's counters."""
        return self.prefix + self.options.dead_stats

    @property
    def active(self) -> str:
        """The set of active shows."""
        return self.prefix + self.options.active

    @property
    def item_map(self) -> str:
        """The hash from item id to show."""
        return self.prefix + self.options.item_map

    @property
    def bodies(self) -> str:
        """What keys of dead letters begin with."""
        return self.prefix + self.options.dead_bodies

    @property
    def lists(self) -> str:
        """What keys of shows' lists begin with."""
        return self.prefix + self.options.lists

    def body(self, id_: str) -> str:
        """A dead letter."""
        return self.bodies + id_

    def moved(self, id_: str) -> str:
        """Our own: the operation that took a dead letter."""
        return f"{self.prefix}{self.options.own}moved:{id_}"

    def requeues(self, item: str) -> str:
        """Our own: how often an item was put back."""
        return f"{self.prefix}{self.options.own}requeues:{item}"

    def list(self, show: str) -> str:
        """A show's queue."""
        return self.lists + show

    def positions(self, show: str) -> str:
        """When items entered a show's queue."""
        return f"{self.prefix}{self.options.positions}{show}"

    def timeouts(self, show: str) -> str:
        """When items of a show's queue expire."""
        return f"{self.prefix}{self.options.timeouts}{show}"

    def work(self, name: str) -> str:
        """Our own: of items in hand."""
        return f"{self.prefix}{self.options.work}{name}"

    def sample(self) -> tuple[str, ...]:
        """One key of each sort: in a Cluster they are together, or requeues take more than one step."""
        return (
            self.items,
            self.stats,
            self.active,
            self.item_map,
            self.body("1"),
            self.moved("1"),
            self.requeues("2"),
            self.list("3"),
            self.positions("4"),
            self.timeouts("5"),
        )

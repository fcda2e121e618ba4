"""`ticketops dlq` as its users have it: a configuration with queues of the test's own, and hands for what fails."""

from dataclasses import dataclass
from pathlib import Path

from support.cli import Cli, Result
from support.deadletters import RedisBox
from ticketops.config.example import toml_value
from ticketops.options import RedisOptions


@dataclass
class Bookings:
    """One Redis queue named bookings, with operations in a local file."""

    cli: Cli
    box: RedisBox

    def __call__(self, *words: object, text: str = "") -> Result:
        return self.cli.here("dlq", *words, text=text)

    def rows(self, *words: object) -> list[dict[str, object]]:
        """The items of a list, as JSON has them."""
        done = self("list", *words, "-o", "json")
        assert done.code == 0, done.err
        found: list[dict[str, object]] = done.json["items"]
        return found

    def ids(self, *words: object) -> list[object]:
        return [row["id"] for row in self.rows(*words)]


def write_config(folder: Path, redis: RedisOptions, prefix: str, more: str = "") -> None:
    """The configuration of `Bookings`; `more` are further sections."""
    (folder / "ticketops.toml").write_text(
        f"[redis]\nurl = {toml_value(redis.url)}\n"
        f'[dlq]\nstore = "local"\nstore_file = {toml_value(str(folder / "operations.sqlite3"))}\n'
        f'[dlq.queues.bookings]\nkind = "redis"\nprefix = {toml_value(prefix)}\n{more}'
    )

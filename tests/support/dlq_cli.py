"""`ticketops dlq` as its users have it: a configuration with queues of the test's own, and hands for what fails."""

import io
import signal
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from support.cli import Cli, Result
from support.deadletters import RedisBox
from ticketops.cli.main import run
from ticketops.config.example import toml_value
from ticketops.options import RedisOptions


@dataclass
class Bookings:
    """One Redis queue named bookings, with operations in a local file."""

    cli: Cli
    box: RedisBox

    def __call__(self, *words: object, text: str = "") -> Result:
        return self.cli("dlq", *words, text=text)

    def here(self, *words: object) -> Result:
        """The same in this process, where many commands are to be tried."""
        argv = ["--config", str(self.cli.folder / "ticketops.toml"), "dlq", *map(str, words)]
        out, err, handler = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGINT)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = run(argv)
        finally:
            signal.signal(signal.SIGINT, handler)
        return Result(code, out.getvalue(), err.getvalue())

    def rows(self, *words: object) -> list[dict[str, object]]:
        """The items of a list, as JSON has them."""
        done = self.here("list", *words, "-o", "json")
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

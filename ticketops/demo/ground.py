"""What the demo and `dev up` stand on: engines with a database, topics, and a configuration file that names them."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ticketops import wiring
from ticketops.config import Config, load
from ticketops.config.example import toml_value
from ticketops.domain.database import UpgradeRequest
from ticketops.embedded.background import DATABASE, Addresses, Background
from ticketops.embedded.engine import Engine
from ticketops.embedded.engines import Engines
from ticketops.embedded.folders import dev_folder, temporary_folder
from ticketops.embedded.jars import Progress
from ticketops.embedded.kafka import KafkaServer
from ticketops.embedded.postgres import PostgresServer
from ticketops.embedded.valkey import ValkeyServer
from ticketops.errors import ConfigError, RefusedError
from ticketops.services import database
from ticketops.services.guard import Access

TOPICS: Final = sorted(set(Config().outbox.topics.values()))
PARTITIONS: Final = 4
_TITLES: Final = {engine.kind: engine.title for engine in (PostgresServer, ValkeyServer, KafkaServer)}
_FILE: Final = "ticketops.toml"
_DAEMONS: Final = ("relay", "bookings", "payments", "emails")
"""How the names of their logs begin."""
_MARK: Final = "# Written by TicketOps for engines on this machine.\n"


@dataclass(frozen=True, slots=True)
class Ground:
    """Running engines, ready for relays."""

    folder: Path
    """For logs and the configuration file."""
    file: Path
    """The configuration file; holds passwords."""
    config: Config
    versions: Mapping[str, str]
    """The engines' versions by their names."""
    lasting: bool
    """True where the engines stay up afterwards."""
    redis: Engine | None = None
    """The server itself; None where it outlives us."""

    @property
    def removed_with_us(self) -> Path | None:
        """The folder to be removed where this process is killed; None where it stays."""
        return None if self.lasting else self.folder


def write_configuration(file: Path, addresses: Addresses, head: str = _MARK, more: str = "") -> None:
    """Write a configuration file that points to the engines; for its owner alone, since passwords stand in it.

    `more`: further sections.
    """
    text = (
        f"{head}\n[postgres]\nurl = {toml_value(addresses.postgres)}\n\n"
        f"[kafka]\nbootstrap_servers = {toml_value(addresses.kafka)}\n\n[redis]\nurl = {toml_value(addresses.redis)}\n"
        f"{more}"
    )
    try:
        file.unlink(missing_ok=True)
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file} cannot be written", why=error.strerror or type(error).__name__) from None


def upgrade(file: Path, progress: Callable[[str], None]) -> Config:
    """Do what `db upgrade` does, with this file alone: a variable must not lead to another database."""
    config = load(file=file, environ={}).config
    access = Access(config.context, config.read_only)
    database.upgrade(wiring.open_schema(config), access, UpgradeRequest(), actor=wiring.actor(), progress=progress)
    return config


@contextmanager
def temporary(progress: Progress, more: Callable[[Path], str] = lambda _: "") -> Iterator[Ground]:
    """Engines that end with the block, or with this process; nothing of them stays.

    `more` makes further sections of the configuration, told the folder of the demo's files.
    """
    folder = temporary_folder("demo")
    try:
        with Engines.make(progress=progress) as engines:
            engines.postgres.create_database(DATABASE)
            engines.kafka.create_topics(TOPICS, partitions=PARTITIONS)
            addresses = Addresses(
                postgres=engines.postgres.url_of(DATABASE), redis=engines.valkey.address, kafka=engines.kafka.address
            )
            versions = {engine.title: engine.version for engine in engines.all()}
            ground = _ground(folder, addresses, versions, lasting=False, more=more(folder))
            yield replace(ground, redis=engines.valkey)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lasting(folder: Path, progress: Progress) -> Iterator[Ground]:
    """Engines in the background, as `dev up` runs them; where the block fails they end and their data goes.

    RefusedError where the folder holds engines already.
    """
    background = Background(folder)
    if any(background.states().values()):
        raise RefusedError(
            f"there are engines in {folder} already",
            why="the demo needs empty ones",
            hint=f"ticketops dev down --purge --dir {folder}, or another --dir",
        )
    try:
        addresses = background.start(topics=TOPICS, progress=progress)
        versions = {_TITLES[kind]: state.version for kind, state in background.states().items() if state}
        yield _ground(folder, addresses, versions, lasting=True)
    except BaseException:
        background.stop()
        background.purge()
        remove_files(folder)
        raise


def remove_files(folder: Path) -> None:
    """Remove the configuration and the logs of a demo; the folder too, where nothing else is in it."""
    file = folder / _FILE
    if not file.exists() or not file.read_text(errors="replace").startswith(_MARK):
        return
    for ours in (file, *(log for kind in _DAEMONS for log in folder.glob(f"{kind}-*.log"))):
        ours.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def default_folder() -> Path:
    """Where `lasting` engines of the demo are, beside those of `dev up`."""
    return dev_folder().with_name("demo")


def _ground(
    folder: Path, addresses: Addresses, versions: Mapping[str, str], *, lasting: bool, more: str = ""
) -> Ground:
    file = folder / _FILE
    write_configuration(file, addresses, more=more)
    return Ground(folder, file, upgrade(file, lambda _: None), versions, lasting=lasting)

"""Kafka's jars, from Maven Central, downloaded once."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ticketops.embedded.engine import write_secret
from ticketops.embedded.folders import cache_folder
from ticketops.errors import BackendUnavailable

KAFKA_VERSION = "4.4.0"
_COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-nop:1.7.36"
_DOWNLOADS = 4


@dataclass(frozen=True, slots=True)
class Download:
    """How far the first download is."""

    done: int
    """Jars."""
    total: int
    """Jars; 0 while they are being found out."""


Progress = Callable[[Download], None]


def no_progress(_: Download) -> None:
    """Show nothing."""


def kafka_jars(progress: Progress = no_progress) -> list[Path]:
    """Return Kafka's jars, downloaded on the first call; later ones need no network.

    Raises:
        BackendUnavailable: they are not there and cannot be downloaded.
    """
    known = _known_jars()
    if known:
        return known
    with _download_errors():
        jars = _download(progress)
    write_secret(_list_file(), json.dumps([str(jar) for jar in jars]).encode())
    return jars


def are_jars_known() -> bool:
    """Say whether Kafka can be started without a download."""
    return bool(_known_jars())


def _list_file() -> Path:
    return cache_folder() / f"kafka-{KAFKA_VERSION}-jars.json"


def _known_jars() -> list[Path]:
    try:
        jars = [Path(jar) for jar in json.loads(_list_file().read_text())]
    except (OSError, ValueError):
        return []
    return jars if all(jar.exists() for jar in jars) else []


def _download(progress: Progress) -> list[Path]:
    import jgo  # noqa: PLC0415 - only for the first start

    progress(Download(0, 0))
    artifacts = jgo.resolve(_COORDINATES)
    progress(Download(0, len(artifacts)))
    jars: list[Path] = []
    with ThreadPoolExecutor(_DOWNLOADS) as threads:
        for jar in threads.map(lambda artifact: artifact.resolve(), artifacts):
            jars.append(Path(os.path.realpath(jar)))
            progress(Download(len(jars), len(artifacts)))
    return jars


@contextmanager
def _download_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise BackendUnavailable(
            "Maven Central",
            why=f"Kafka's jars could not be downloaded: {error}",
            hint="the first start of Kafka needs the network, later ones do not",
        ) from error

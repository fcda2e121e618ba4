"""Kafka's jars, those in kafka.lock, from Maven Central, downloaded once."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ticketops.embedded.folders import alone, cache_folder
from ticketops.errors import BackendError, BackendUnavailable

KAFKA_VERSION = "4.4.0"
_LOCK = Path(__file__).with_name("kafka.lock")
_DOWNLOADS = 4
_TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Download:
    """How far the first download is."""

    done: int
    """Jars."""
    total: int
    """Jars."""


Progress = Callable[[Download], None]


def no_progress(_: Download) -> None:
    """Show nothing."""


def kafka_jars(progress: Progress = no_progress) -> list[Path]:
    """Return Kafka's jars, downloaded on the first call; later ones need no network.

    Raises:
        BackendUnavailable: they are not there and cannot be downloaded.
    """
    if not are_jars_here():
        with alone("kafka-jars"):
            _download_unless_here(progress)
    return sorted(_folder().glob("*.jar"))


def are_jars_here() -> bool:
    """Say whether Kafka can be started without a download."""
    return _folder().exists()


def _folder() -> Path:
    return cache_folder() / f"kafka-{KAFKA_VERSION}-jars"


def _download_unless_here(progress: Progress) -> None:
    if are_jars_here():
        return
    # A repository of our own: an interrupted download leaves a broken file that jgo and Maven would trust for ever.
    repository = cache_folder() / "maven"
    shutil.rmtree(repository, ignore_errors=True)
    with _download_errors():
        jars = _download(repository, progress)
    complete = repository / "complete"
    complete.mkdir()
    for jar in jars:
        jar.rename(complete / jar.name)
    complete.rename(_folder())
    shutil.rmtree(repository, ignore_errors=True)


def _download(repository: Path, progress: Progress) -> list[Path]:
    locked = dict(line.split() for line in _LOCK.read_text().splitlines() if not line.startswith("#"))
    resolve = _resolver(repository)
    jars: list[Path] = []
    progress(Download(0, len(locked)))
    with ThreadPoolExecutor(_DOWNLOADS) as threads:
        downloads = {threads.submit(resolve, coordinate): digest for coordinate, digest in locked.items()}
        for download in as_completed(downloads):
            jars.append(_verified(download.result(), downloads[download]))
            progress(Download(len(jars), len(locked)))
    return jars


def _resolver(repository: Path) -> Callable[[str], Path]:
    """Return what downloads one jar; jgo's settings may name a mirror as `central`."""
    from jgo.config import GlobalSettings  # noqa: PLC0415 - only for the first start
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    remotes = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    context = MavenContext(repo_cache=repository, remote_repos=remotes, timeout=_TIMEOUT)
    return lambda coordinate: Path(context.create_dependency(coordinate).artifact.resolve())


def _verified(jar: Path, digest: str) -> Path:
    if hashlib.sha256(jar.read_bytes()).hexdigest() != digest:
        raise BackendError(f"{jar.name} is not the jar that was locked", why="its SHA-256 is another")
    return jar


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

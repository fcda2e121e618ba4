"""Connections to Redis: standalone, by Sentinels, or to a Cluster; and scripts that are sent again when forgotten."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, cast

import redis
from redis import Redis, RedisCluster, Sentinel
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.crc import key_slot
from redis.driver_info import DriverInfo
from redis.exceptions import NoScriptError
from redis.retry import Retry

from ticketops.backends.redis.errors import BACKEND, translated
from ticketops.errors import BackendError, BackendUnavailable
from ticketops.options import RedisOptions

Client = Redis | RedisCluster
Arguments = Sequence[str | bytes | int]
Answer = Callable[[], Any]
"""Waits for what a script answers; asked for once."""
Send = Callable[[str, Sequence[str | bytes], Arguments], Answer]
"""Calls a script by its name, with keys and arguments."""
_SENTINEL_PORT: Final = 26379


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and what the server calls it."""

    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """A script of the folder `lua`."""
    text = (files("ticketops.backends.redis") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


class Session:
    """The connection of one thread, made when needed and again after it broke.

    Nothing is repeated by itself: a call whose answer was lost may have been carried out.
    """

    def __init__(self, options: RedisOptions) -> None:
        self._options = options
        self._client: Client | None = None

    @property
    def is_cluster(self) -> bool:
        """True where keys live in slots."""
        return self._options.cluster

    @contextmanager
    def use(self) -> Iterator[Any]:
        """The client; raises TicketOps' errors only."""
        try:
            with translated():
                if self._client is None:
                    self._client = connect(self._options)
                yield self._client
        except BackendUnavailable:
            self.close()
            raise

    def call(self, name: str, keys: Sequence[str | bytes], arguments: Arguments) -> Any:  # noqa: ANN401 - as the script answers
        """Run a script; it is sent whole where the server does not know it."""
        found = script(name)
        with self.use() as client:
            try:
                return client.evalsha(found.sha, len(keys), *keys, *arguments)
            except NoScriptError:
                return client.eval(found.text, len(keys), *keys, *arguments)

    @contextmanager
    def pipe(self) -> Iterator[Send]:
        """Scripts whose answers are fetched later, in the order of the calls: server and caller work at once."""
        with self.use() as client:
            if self.is_cluster:  # its client alone knows where a key is
                yield self._at_once
                return
            connection = client.connection_pool.get_connection()
            try:
                connection.check_health()
                yield partial(self._send, connection)
            except BaseException:
                connection.disconnect()  # there may be answers that nobody reads
                raise
            finally:
                client.connection_pool.release(connection)

    def _send(self, connection: Any, name: str, keys: Sequence[str | bytes], arguments: Arguments) -> Answer:  # noqa: ANN401 - redis-py's
        """An unknown script is called again by its text when its answer is fetched."""
        command = connection.pack_command("EVALSHA", script(name).sha, len(keys), *keys, *arguments)
        connection.send_packed_command(command, check_health=False)

        def answer() -> Any:  # noqa: ANN401 - as the script answers
            try:
                return connection.read_response()
            except NoScriptError:
                return self.call(name, keys, arguments)

        return answer

    def _at_once(self, name: str, keys: Sequence[str | bytes], arguments: Arguments) -> Answer:
        found = self.call(name, keys, arguments)
        return lambda: found

    def now(self) -> tuple[int, int]:
        """Seconds and microseconds of the server's clock."""
        with self.use() as client:
            if self.is_cluster:
                return cast("tuple[int, int]", client.time(target_nodes=client.get_default_node()))
            return cast("tuple[int, int]", client.time())

    def clock(self) -> datetime:
        """The server's clock."""
        seconds, micros = self.now()
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)

    def close(self) -> None:
        """Give up the connection; idempotent."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def same_slot(keys: Sequence[str]) -> bool:
    """Whether a Cluster keeps these keys together."""
    return len({key_slot(key.encode()) for key in keys}) <= 1


def connect(options: RedisOptions) -> Client:
    """A client of its own, not connected yet where it needs not ask for the master or the cluster's nodes."""
    if options.cluster:
        return _cluster(options)
    if options.sentinels:
        return _sentinel(options)
    return Redis.from_url(options.url, **_settings(options), **_tls(options))


def _settings(options: RedisOptions) -> dict[str, Any]:
    return {
        "socket_connect_timeout": options.connect_timeout,
        "socket_timeout": options.answer_timeout,
        "socket_keepalive": True,
        "health_check_interval": options.health_check_interval,
        "protocol": 2,
        "driver_info": DriverInfo(lib_version=redis.__version__),  # else it reads its package's metadata each time
        "retry": Retry(NoBackoff(), 0),
    }


def _tls(options: RedisOptions) -> dict[str, Any]:
    if not options.url.startswith("rediss://"):
        return {}
    tls = options.tls
    return {
        "ssl_cert_reqs": "required" if tls.verify else "none",
        "ssl_check_hostname": tls.verify,
        **({"ssl_ca_certs": tls.ca_file} if tls.ca_file else {}),
        **({"ssl_certfile": tls.certificate_file, "ssl_keyfile": tls.key_file} if tls.certificate_file else {}),
    }


def _cluster(options: RedisOptions) -> RedisCluster:
    settings = _settings(options)
    del settings["retry"]  # a cluster's client follows its nodes with one of its own
    return RedisCluster.from_url(
        options.url, **settings, **_tls(options), retry=Retry(NoBackoff(), 1), require_full_coverage=False
    )


def _sentinel(options: RedisOptions) -> Redis:
    try:
        given = parse_url(options.url)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise BackendError("redis.url cannot be read", why=str(error)) from None
    own = {name: given[name] for name in ("username", "password", "db") if name in given}
    secured = {"ssl": True, **_tls(options)} if options.url.startswith("rediss://") else {}
    asked = {
        name: value
        for name, value in (("username", options.sentinel_username), ("password", options.sentinel_password))
        if value
    }
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_address(text) for text in options.sentinels],
        sentinel_kwargs={**_settings(options), **secured, **asked},
        **_settings(options),
        **secured,
        **own,
    )
    return cast("Redis", sentinel.master_for(options.sentinel_service))  # type: ignore[no-untyped-call]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if not text.endswith("]") and ":" in text else (text, "", "")
    return host.strip("[]"), int(port or _SENTINEL_PORT)


__all__ = ["BACKEND", "Client", "Script", "Session", "connect", "same_slot", "script"]

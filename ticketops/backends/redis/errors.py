"""What redis-py's errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from redis import exceptions

from ticketops.domain.text import shorten
from ticketops.errors import BackendError, BackendFull, BackendUnavailable, DeniedError, SchemaError, TicketOpsError

BACKEND: Final = "Redis"
_DENIED: Final = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
)
_SILENT: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.SlotNotCoveredError,
)
_WAITS: Final = {
    "LOADING": "it is loading its data",
    "MASTERDOWN": "its link with the master is down",
    "READONLY": "it is a read-only replica; a failover under way, or the wrong address",
    "BUSY": "it is busy with a script that takes too long",
    "CLUSTERDOWN": "the cluster is down",
    "TRYAGAIN": "a slot is being moved",
    "NOREPLICAS": "it has too few replicas to take a write",
    "UNKILLABLE": "it is busy with a script that cannot be ended",
}
"""Answers of a server that will take the same command later."""
_REFUSALS: Final = {
    "OOM": (
        f"{BACKEND} is out of memory",
        "nothing was changed; free memory or raise maxmemory, then go on",
    ),
    "MISCONF": (f"{BACKEND} takes no writes, because it cannot save its data", "look at the server's log and disk"),
    "MOVED": (f"{BACKEND} is a cluster", "set redis.cluster = true"),
    "CROSSSLOT": (f"{BACKEND} keeps these keys in different slots", 'give the queue a prefix like "{booking}:"'),
}


_FULL: Final = frozenset({"OOM", "MISCONF"})


@contextmanager
def translated() -> Iterator[None]:
    """Turn what redis-py raises into TicketOps' errors."""
    try:
        yield
    except exceptions.RedisError as error:
        raise from_driver(error) from error
    except OSError as error:  # TLS files that cannot be read, sockets before redis-py wraps them
        raise BackendUnavailable(BACKEND, why=_first_line(error), hint=_HINT) from error


_HINT: Final = "check redis.url and that the server runs"


def from_driver(error: exceptions.RedisError) -> TicketOpsError:
    """The error to raise for one of redis-py's."""
    why = _first_line(error)
    code = _code(error, why)
    if code in _WAITS:
        return BackendUnavailable(BACKEND, why=f"{_WAITS[code]} ({why})", hint="try again later")
    if isinstance(error, _DENIED) or code in {"NOAUTH", "WRONGPASS", "NOPERM"}:
        return DeniedError(f"{BACKEND} denied the right", why=why, hint="check the user, its password and its ACL")
    if code in _REFUSALS:
        what, hint = _REFUSALS[code]
        return (BackendFull if code in _FULL else BackendError)(what, why=why, hint=hint)
    if isinstance(error, _SILENT):
        return BackendUnavailable(BACKEND, why=why, hint=_HINT)
    if code == "WRONGTYPE":
        return SchemaError(f"a key in {BACKEND} is of another type", why=why, hint="`ticketops dlq doctor` names it")
    return BackendError(f"{BACKEND} refused a command", why=why)


_CLASSES: Final = (
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.MasterDownError, "MASTERDOWN"),
    (exceptions.MovedError, "MOVED"),
    (exceptions.ClusterDownError, "CLUSTERDOWN"),
    (exceptions.TryAgainError, "TRYAGAIN"),
    (exceptions.ClusterCrossSlotError, "CROSSSLOT"),
)
"""Those whose messages redis-py strips of the code."""


def _code(error: exceptions.RedisError, why: str) -> str:
    """The word that the server's answer began with."""
    for kind, code in _CLASSES:
        if isinstance(error, kind):
            return code
    if "OOM command not allowed" in why:  # as a script's error says it
        return "OOM"
    if "ACL failure in script" in why:
        return "NOPERM"
    word = why.partition(" ")[0].rstrip(":")
    if word == "ERR" or not word.isupper():
        return next(
            (code for code in (*_WAITS, *_REFUSALS) if f"-{code} " in why or why.startswith(f"ERR {code} ")), ""
        )
    return word


def _first_line(error: BaseException) -> str:
    return shorten(str(error).strip().partition("\n")[0] or type(error).__name__, 300)

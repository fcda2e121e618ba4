"""What `doctor` looks at in Redis: what it does when it is full or restarted, its role, its clock, its rights."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ticketops.backends.redis.keys import Keys
from ticketops.backends.redis.session import Session
from ticketops.domain.findings import Finding, clock
from ticketops.domain.lag.verdicts import Grade
from ticketops.errors import BackendError, DeniedError
from ticketops.options import RedisOptions

_FULL: Final = 0.9
"""Part of maxmemory."""
_NOEVICTION: Final = "noeviction"


class RedisHealth:
    """Implements ports.doctor.HealthProbe."""

    def __init__(self, options: RedisOptions, *, prefixes: Sequence[str] = ("",), email_list: str) -> None:
        self._options = options
        self._session = Session(options)
        self._prefixes = prefixes
        self._email_list = email_list

    def findings(self) -> Iterator[Finding]:
        """See ports.doctor.HealthProbe."""
        before = time.time()
        theirs = self._session.clock().timestamp()
        after = time.time()
        yield clock("redis", theirs - (before + after) / 2, (after - before) / 2)
        try:
            info = self._info()
        except DeniedError as error:
            yield _denied("INFO", error)
        else:
            yield _role(info)
            yield from self._memory(info)
            yield from _persistence(info)
        yield from self._types()

    def close(self) -> None:
        """See ports.doctor.HealthProbe."""
        self._session.close()

    def _info(self) -> Mapping[str, Any]:
        with self._session.use() as client:
            found: Mapping[str, Any] = client.info()
        return next(iter(found.values()), {}) if self._session.is_cluster else found

    def _memory(self, info: Mapping[str, Any]) -> Iterator[Finding]:
        policy = str(info.get("maxmemory_policy") or self._setting("maxmemory-policy") or "")
        if not policy:
            yield _finding("maxmemory-policy", Grade.UNKNOWN, "not told", "keys may be evicted", "ask who runs Redis")
        elif policy != _NOEVICTION:
            why = "when memory is full, Redis drops queues, dead letters or their ids without telling anybody"
            yield _finding("maxmemory-policy", Grade.BAD, policy, why, f"CONFIG SET maxmemory-policy {_NOEVICTION}")
        else:
            yield _finding("maxmemory-policy", Grade.OK, policy)
        used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0) or 0)
        full = bool(most) and used > most * _FULL
        yield _finding(
            "memory",
            Grade.WARN if full else Grade.OK,
            f"{used / 1e6:.0f} MB used" + (f" of {most / 1e6:.0f} MB" if most else ", no limit"),
            "bookings are refused when it is full" if full else "",
            "CONFIG SET maxmemory with more, or `ticketops dlq cleanup`" if full else "",
        )

    def _setting(self, name: str) -> str | None:
        """A setting, where this user may ask for it; managed servers often forbid it."""
        try:
            with self._session.use() as client:
                found: Mapping[str, str] = client.config_get(name)
        except (DeniedError, BackendError):
            return None
        return next(iter(found.values()), None) if not self._session.is_cluster else None

    def _types(self) -> Iterator[Finding]:
        """Keys of a wrong type of the email list; those of the queues are the dead-letter queue's own findings."""
        names = [self._email_list, *(Keys(self._options.queue, prefix).items for prefix in self._prefixes)]
        wanted = ["list", *("zset" for _ in self._prefixes)]
        with self._session.use() as client:
            kinds = [client.type(name) for name in names]
        for name, kind, right in zip(names, kinds, wanted, strict=True):
            told = kind.decode(errors="replace") if isinstance(kind, bytes) else str(kind)
            if told not in {"none", right}:
                why, fix = "every command of the workers on it fails", f"RENAME {name} {name}:wrong"
                yield _finding(f"key {name}", Grade.BAD, f"a {told}, not a {right}", why, fix)


def _role(info: Mapping[str, Any]) -> Finding:
    role = str(info.get("role", ""))
    if role == "master":
        replicas = int(info.get("connected_slaves", 0) or 0)
        return _finding("role", Grade.OK, f"master, {replicas} replicas")
    why, fix = "it takes no writes: nothing can be put back", "give redis.url of the master, or redis.sentinels"
    return _finding("role", Grade.BAD if role == "slave" else Grade.UNKNOWN, role or "not told", why, fix)


def _persistence(info: Mapping[str, Any]) -> Iterator[Finding]:
    appends = int(info.get("aof_enabled", 0) or 0)
    saved = float(info.get("rdb_last_save_time", 0) or 0)
    for name in ("rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"):
        if str(info.get(name, "ok")) != "ok":
            why = "what was written since is lost at the next restart, and Redis may refuse writes"
            yield _finding(name, Grade.BAD, str(info[name]), why, "look at the disk and the log of the server")
    if appends:
        yield _finding("persistence", Grade.OK, "append-only file")
        return
    changes = int(info.get("rdb_changes_since_last_save", 0) or 0)
    age = max(time.time() - saved, 0.0)
    grade = Grade.WARN
    evidence = f"no append-only file; last snapshot {age / 3600:.1f} h ago, {changes} changes since"
    why = "queued bookings and dead letters since the last snapshot are lost at a restart"
    yield _finding("persistence", grade, evidence, why, "CONFIG SET appendonly yes; CONFIG REWRITE")


def _denied(what: str, error: DeniedError) -> Finding:
    why = "role, memory and persistence could not be looked at"
    return _finding(what, Grade.UNKNOWN, f"a right is missing: {error}", why, f"ACL SETUSER … +{what.lower()}")


def _finding(subject: str, grade: Grade, evidence: str, why: str = "", fix: str = "") -> Finding:
    return Finding(area="redis", subject=subject, grade=grade, evidence=evidence, why=why, fix=fix)

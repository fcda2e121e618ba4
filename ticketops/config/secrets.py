"""Secrets by reference: the files that hold them are read, and URLs are completed with their passwords."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ticketops.config.origins import Entry, Layer
from ticketops.config.problems import Problem
from ticketops.config.redact import is_secret_name, passwords_in, spellings

RIVALS: Final = (
    ("postgres.url", "postgres.url_file"),
    ("redis.url", "redis.url_file"),
    ("kafka.password", "kafka.password_file"),
    ("redis.sentinel_password", "redis.sentinel_password_file"),
    ("worker.emails.url", "worker.emails.url_file"),
)
"""Two ways to give one value: a stronger layer's one replaces a weaker layer's other; one layer may have one."""
_COMPLETED: Final = (("postgres.url", "postgres.password_file"), ("redis.url", "redis.password_file"))

_DSN_PASSWORD: Final = re.compile(r"\bpassword\s*=")


@dataclass(slots=True)
class Resolved:
    """The values with what their files say."""

    values: dict[str, object] = field(repr=False)
    problems: list[Problem] = field(default_factory=list)


def contradictions(layer: Layer) -> list[Problem]:
    """Both rivals set in one place."""
    return [
        Problem(
            f"{layer.entries[reference].origin.place}: {plain} and {reference} contradict each other",
            why=f"{plain} is set at {layer.entries[plain].origin.place}",
            hint="keep one of them",
        )
        for plain, reference in RIVALS
        if _is_set(layer, plain) and _is_set(layer, reference)
    ]


def rival_of(name: str) -> str | None:
    """The other way to give the value."""
    pairs = {**dict(RIVALS), **{reference: plain for plain, reference in RIVALS}}
    return pairs.get(name)


def resolve(values: Mapping[str, object], entries: Mapping[str, Entry]) -> Resolved:
    """Read what `url_file` and `password_file` name, and put it where it belongs."""
    resolved = Resolved(dict(values))
    for plain, reference in RIVALS:
        if secret := _read(reference, resolved, entries):
            resolved.values[plain] = secret
    for url, reference in _COMPLETED:
        if secret := _read(reference, resolved, entries):
            _complete(resolved, url, reference, secret)
    return resolved


def known_secrets(values: Mapping[str, object]) -> frozenset[str]:
    """Every secret among the values, in every spelling, so that no output shows it."""
    found = set(spellings([str(values[name]) for name in ("kafka.password", "redis.sentinel_password")]))
    for name in ("postgres.url", "redis.url"):
        found |= passwords_in(str(values[name]))
    properties = values["kafka.properties"]
    if isinstance(properties, Mapping):
        for name, value in properties.items():
            found |= spellings([str(value)]) if is_secret_name(name) else passwords_in(str(value))
    for name, value in values.items():
        if name.startswith("alerts.targets.") and name.endswith(".url") and value:
            found |= spellings([str(value)]) | passwords_in(str(value))
    return frozenset(found)


def with_password(url: str, password: str) -> str | None:
    """A URL or a libpq connection string with its password; None where it already has one."""
    if "://" not in url:
        escaped = password.replace("\\", "\\\\").replace("'", "\\'")
        return None if _DSN_PASSWORD.search(url) else f"{url} password='{escaped}'".lstrip()
    scheme, _, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    user, _, hosts = authority.rpartition("@")
    if ":" in user or _DSN_PASSWORD.search(rest):
        return None
    return f"{scheme}://{user}:{quote(password, safe='')}@{hosts}{rest[len(authority) :]}"


def _is_set(layer: Layer, name: str) -> bool:
    return name in layer.entries and layer.entries[name].value != ""


def _read(reference: str, resolved: Resolved, entries: Mapping[str, Entry]) -> str:
    """The secret in the file that `reference` names; empty where it names none, or with a problem."""
    name = str(resolved.values[reference])
    if not name:
        return ""
    entry = entries.get(reference)
    path = ((entry.folder if entry else None) or Path()) / Path(name).expanduser()
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        resolved.problems.append(_unusable(reference, path, f"{why}"))
        return ""
    if not secret:
        resolved.problems.append(_unusable(reference, path, "it is empty"))
    return secret


def _unusable(reference: str, path: Path, why: str) -> Problem:
    return Problem(f"{reference}: {path} cannot be used", why=why, hint="write the secret, and nothing else, into it")


def _complete(resolved: Resolved, url: str, reference: str, secret: str) -> None:
    completed = with_password(str(resolved.values[url]), secret)
    if completed is None:
        hint = "keep one of them"
        resolved.problems.append(Problem(f"{url} holds a password and {reference} names another", hint=hint))
    else:
        resolved.values[url] = completed

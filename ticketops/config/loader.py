"""Flag over environment over file over default, made into one frozen configuration."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, replace
from pathlib import Path

from ticketops.config import assignments as flags
from ticketops.config import environment, file, members, secrets
from ticketops.config.checks import check
from ticketops.config.origins import DEFAULT, Entry, Layer, Origin, Source
from ticketops.config.problems import Problem, refuse
from ticketops.config.schema import DEFAULT_CONTEXT, Config, Key, build, family_of, keys, names_of
from ticketops.config.values import convert


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration, and how it came about."""

    config: Config
    origins: Mapping[str, Origin] = field(repr=False)
    """Where each value came from, by dotted name."""
    file: Path | None
    """The file that was read."""
    contexts: tuple[str, ...]
    """The names of all contexts."""
    warnings: tuple[str, ...]
    secrets: frozenset[str] = field(repr=False)
    """What must never be shown, in every spelling."""
    problems: tuple[Problem, ...] = ()
    """What is wrong; empty unless `strict` was false."""


def load(
    *,
    file: Path | None = None,
    context: str | None = None,
    assignments: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    strict: bool = True,
    read_secrets: bool = True,
) -> Settings:
    """Read the configuration; ConfigError names the place, the key and the nearest known key.

    Without `strict`, values that cannot be used fall back to their defaults and are told in `problems`;
    without `read_secrets`, the files that `url_file` and `password_file` name are left alone.
    """
    environ = os.environ if environ is None else environ
    parsed = _file(file, environ, directory or Path())
    name, chosen = _context(context, environ, parsed)
    stored = parsed.layers(name) if parsed else _no_file(name)
    layers = [*stored, environment.layer(environ, _possible(stored)), flags.layer(assignments)]
    gathered = _gather(layers)
    gathered.named = members.names(stored, gathered.entries)
    gathered.entries["context"] = Entry(name, chosen)
    settings = _settle(gathered, parsed, read_secrets=read_secrets)
    if strict:
        refuse(settings.problems)
    return settings


def _file(flag: Path | None, environ: Mapping[str, str], directory: Path) -> file.ConfigFile | None:
    path = file.find(flag, environ, directory)
    return file.read(path) if path else None


def _no_file(context: str) -> tuple[Layer, ...]:
    if context != DEFAULT_CONTEXT:
        raise file.unknown_context(context, (DEFAULT_CONTEXT,), None)
    return ()


def _context(flag: str | None, environ: Mapping[str, str], parsed: file.ConfigFile | None) -> tuple[str, Origin]:
    if flag:
        return flag, Origin(Source.FLAG, "--context")
    if environ.get("TICKETOPS_CONTEXT"):
        return environ["TICKETOPS_CONTEXT"], Origin(Source.ENVIRONMENT, "TICKETOPS_CONTEXT")
    stored = parsed.base.get("context") if parsed else None
    if stored is not None and parsed:
        return _stored(stored, Origin(Source.FILE, str(parsed.path), parsed.lines.get("context")))
    return DEFAULT_CONTEXT, DEFAULT


def _stored(name: object, origin: Origin) -> tuple[str, Origin]:
    converted = convert(keys()["context"], Entry(name, origin))
    if isinstance(converted, Problem):
        refuse([converted])
    return str(converted), origin


def _possible(layers: Sequence[Layer]) -> Iterator[str]:
    """Every key that the file's named sections can have."""
    for layer in layers:
        for family, owns in layer.named.items():
            for own in owns:
                yield from names_of(family, own)


def _gather(layers: Sequence[Layer]) -> Layer:
    """All layers in one; the strongest entry of each name is left."""
    gathered = Layer()
    for layer in layers:
        gathered.problems += [*layer.problems, *secrets.contradictions(layer)]
        gathered.warnings += layer.warnings
        for name, entry in layer.entries.items():
            _put(gathered, name, entry)
    return gathered


def _put(gathered: Layer, name: str, entry: Entry) -> None:
    weaker = gathered.entries.get(name)
    if name == "read_only" and _lifts(entry, weaker):
        place = entry.origin.place
        hint = "set read_only = false in the file, or use another context"
        gathered.problems.append(Problem(f"{place} cannot lift read_only", why="only the file can", hint=hint))
        return
    rival = secrets.rival_of(name)
    if rival and entry.value != "":
        _drop_weaker(gathered, rival, entry)
    gathered.entries[name] = _merged(name, entry, weaker)


def _lifts(entry: Entry, weaker: Entry | None) -> bool:
    return entry.textual and not _says_yes(entry) and weaker is not None and _says_yes(weaker)


def _says_yes(entry: Entry) -> bool:
    return str(entry.value).strip().lower() in {"true", "1"}


def _drop_weaker(gathered: Layer, rival: str, entry: Entry) -> None:
    found = gathered.entries.get(rival)
    if found and (found.origin.source, found.origin.context) != (entry.origin.source, entry.origin.context):
        del gathered.entries[rival]


def _merged(name: str, entry: Entry, weaker: Entry | None) -> Entry:
    if not (entry.merged and isinstance(entry.value, dict) and name in keys()):
        return entry
    below = weaker.value if weaker else (keys()[name].default if entry.origin.source is Source.FLAG else {})
    return replace(entry, value={**below, **entry.value}) if isinstance(below, Mapping) else entry


def _settle(gathered: Layer, parsed: file.ConfigFile | None, *, read_secrets: bool) -> Settings:
    values = {name: _value(gathered, key) for name, key in keys().items() if not family_of(name)[0]}
    for family, owns in gathered.named.items():
        for own in owns:
            values |= _member(gathered, family, own)
    resolved = secrets.resolve(values, gathered.entries) if read_secrets else secrets.Resolved(values)
    problems = [*gathered.problems, *resolved.problems]
    config = build(resolved.values)
    return Settings(
        config=config,
        origins=_origins(gathered, values),
        file=parsed.path if parsed else None,
        contexts=parsed.names if parsed else (DEFAULT_CONTEXT,),
        warnings=tuple(gathered.warnings),
        secrets=secrets.known_secrets(resolved.values),
        problems=tuple(problems or check(config)),
    )


def _origins(gathered: Layer, values: Mapping[str, object]) -> dict[str, Origin]:
    """Where each value stands; one that a file holds comes from the place that names the file."""
    found = {name: gathered.entries[name].origin if name in gathered.entries else DEFAULT for name in values}
    return found | {plain: found[reference] for plain, reference in secrets.RIVALS if values[reference]}


def _member(gathered: Layer, family: str, own: str) -> dict[str, object]:
    """The values of one named section; none where it does not say what it must."""
    known = members.keys_of(family, own)
    told = known.get(members.kind_of(family, own))
    kind = _value(gathered, told) if told else None
    wanted = list(names_of(family, own, kind)) if kind is not MISSING else [members.kind_of(family, own)]
    values = {name: _value(gathered, known[name]) for name in wanted}
    missing = [name for name, value in values.items() if value is MISSING]
    if missing:
        gathered.problems += members.without(gathered, known, missing)
        return {}
    gathered.problems += members.without_meaning(gathered, known, wanted, kind)
    return values


def _value(gathered: Layer, key: Key) -> object:
    entry = gathered.entries.get(key.name)
    if entry is None:
        return key.default
    value = convert(key, entry)
    if isinstance(value, Problem):
        gathered.problems.append(value)
        return key.default
    return value

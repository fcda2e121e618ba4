"""The configuration file: found, parsed, and laid out by dotted name."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ticketops.config.origins import Entry, Layer, Origin, Source, Table
from ticketops.config.positions import lines_of
from ticketops.config.problems import Problem, did_you_mean
from ticketops.config.schema import (
    DEFAULT_CONTEXT,
    NAME,
    families,
    family_of,
    is_section,
    key_of,
    keys,
    names_of,
    sections,
)
from ticketops.errors import ConfigError

FILE_NAME: Final = "ticketops.toml"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A parsed file."""

    path: Path
    base: Table = field(repr=False)
    """Everything but `[contexts]`."""
    contexts: Mapping[str, Table] = field(repr=False)
    lines: Mapping[str, int] = field(repr=False)

    def layers(self, context: str) -> tuple[Layer, ...]:
        """The file's own sections, then the context's; ConfigError where there is no such context."""
        base = _layer(self, self.base, "", Source.FILE)
        if context in self.contexts:
            return base, _layer(self, self.contexts[context], context, Source.CONTEXT)
        if context != DEFAULT_CONTEXT:
            raise unknown_context(context, self.names, self.path)
        return (base,)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all contexts."""
        return (DEFAULT_CONTEXT, *(name for name in self.contexts if name != DEFAULT_CONTEXT))


def find(flag: Path | None, environ: Mapping[str, str], directory: Path) -> Path | None:
    """The file to read: --config, TICKETOPS_CONFIG, ./ticketops.toml, the user's; None where there is none."""
    if flag is not None:
        return flag.expanduser()
    if environ.get("TICKETOPS_CONFIG"):
        return Path(environ["TICKETOPS_CONFIG"]).expanduser()
    return next((path for path in (directory / FILE_NAME, user_file()) if path.is_file()), None)


def user_file() -> Path:
    """The file in the user's own configuration folder (XDG on Linux)."""
    from platformdirs import user_config_path  # noqa: PLC0415 - not needed where a file is named

    return user_config_path("ticketops") / "config.toml"


def read(path: Path) -> ConfigFile:
    """Read and parse `path`; ConfigError."""
    text = _text(path)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML", why=str(error), hint="mend the line that is named") from None
    contexts = table.pop("contexts", {})
    if not isinstance(contexts, dict) or not all(isinstance(item, dict) for item in contexts.values()):
        raise ConfigError(f"{path}: contexts must be tables", hint="write [contexts.NAME]")
    return ConfigFile(path, table, contexts, lines_of(text))


def unknown_context(name: str, known: tuple[str, ...], path: Path | None) -> ConfigError:
    """The error for a context that is not there."""
    where = f"{path} has" if path else "there is no configuration file, so there is"
    return ConfigError(
        f"there is no context {name}",
        why=f"{where} {', '.join(known)}",
        hint=did_you_mean(name, known) or "name one of these with --context or TICKETOPS_CONTEXT",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not TOML", why=f"byte {error.start} is not UTF-8", hint="save the file as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read",
            why=error.strerror or type(error).__name__,
            hint="ticketops config init writes one",
        ) from None


def _layer(file: ConfigFile, table: Table, context: str, source: Source) -> Layer:
    layer = Layer(named=_named(table))
    prefix = f"contexts.{context}." if context else ""
    for name, value in _leaves(table, ""):
        origin = Origin(source, str(file.path), _line(file.lines, prefix + name), context)
        if key_of(name):
            _add(layer, name, Entry(value, origin, merged=bool(context), folder=file.path.parent))
        else:
            layer.problems.append(_stray(name, value, origin))
    return layer


def _named(table: Table) -> dict[str, list[str]]:
    """The named sections that stand in the table, those without a key in them too."""
    found = {}
    for family in families():
        part: object = table
        for word in family.split("."):
            part = part.get(word) if isinstance(part, dict) else None
        if isinstance(part, dict):
            found[family] = [name for name in part if NAME.fullmatch(name)]
    return found


def _add(layer: Layer, name: str, entry: Entry) -> None:
    if name == "context" and entry.origin.context:
        layer.problems.append(Problem(f"{entry.origin.place}: a context cannot choose a context"))
    else:
        layer.entries[name] = entry


def _leaves(table: Table, prefix: str) -> Iterator[tuple[str, object]]:
    """Values by dotted name, down to what is a key or is unknown."""
    for name, value in table.items():
        dotted = prefix + name
        key = key_of(dotted)
        if key is None and is_section(dotted) and isinstance(value, dict):
            yield from _leaves(value, f"{dotted}.")
        elif key and key.is_map and isinstance(value, dict):
            yield dotted, dict(_flat(value, ""))
        else:
            yield dotted, value


def _flat(table: Table, prefix: str) -> Iterator[tuple[str, object]]:
    """`security.protocol = "SSL"` without quotes is a table in TOML; here it is the name `security.protocol`."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _line(lines: Mapping[str, int], name: str) -> int | None:
    return lines.get(name) or next((line for known, line in lines.items() if known.startswith(f"{name}.")), None)


def _stray(name: str, value: object, origin: Origin) -> Problem:
    if is_section(name):
        return Problem(f"{origin.place}: {name} must be a table", hint=f"write [{name}]")
    kind = "section" if isinstance(value, dict) else "key"
    section = name.rpartition(".")[0]
    if section in families():
        return Problem(
            f"{origin.place}: {name.rpartition('.')[2]} cannot be the name of a section",
            why="a name has up to 63 letters, digits, hyphens and underscores",
        )
    known = [*keys(), *known_in(name)]
    siblings = dict.fromkeys(key.rpartition(".")[2] for key in known if key.rpartition(".")[0] == section)
    why = f"[{section}] has {', '.join(siblings)}" if section else f"the sections are {', '.join(sorted(sections()))}"
    return Problem(
        f"{origin.place}: unknown {kind} {name}",
        why=why,
        hint=did_you_mean(name, sorted(sections()) if kind == "section" else [*known, *sections()]),
    )


def known_in(name: str) -> list[str]:
    """The keys that a named section may have, where `name` stands in one."""
    family, own, _ = family_of(name)
    return list(names_of(family, own)) if NAME.fullmatch(own) else []

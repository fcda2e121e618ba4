"""The whole configuration as one frozen value, and the list of its keys."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache, reduce
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from ticketops.domain.overview.check import Thresholds
from ticketops.options import (
    AlertsOptions,
    DlqOptions,
    HttpOptions,
    KafkaOptions,
    LagOptions,
    LogOptions,
    MachineOptions,
    OtelOptions,
    OutboxOptions,
    PostgresOptions,
    RedisOptions,
    RelayOptions,
    StateOptions,
    TuiOptions,
    WorkerOptions,
)
from ticketops.options.dlq import KIND, ONLY

_T = TypeVar("_T")

DEFAULT_CONTEXT: Final = "default"
"""The name of the file's own sections, without any of `[contexts]`."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
"""What a named section may be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that TicketOps can be told."""

    context: str = DEFAULT_CONTEXT
    """The context used where neither --context nor TICKETOPS_CONTEXT names one."""
    read_only: bool = False
    """True: nothing is changed anywhere. A context can be read-only by itself; only this file can lift it."""
    postgres: PostgresOptions = field(default_factory=PostgresOptions)
    kafka: KafkaOptions = field(default_factory=KafkaOptions)
    redis: RedisOptions = field(default_factory=RedisOptions)
    outbox: OutboxOptions = field(default_factory=OutboxOptions)
    relay: RelayOptions = field(default_factory=RelayOptions)
    state: StateOptions = field(default_factory=StateOptions)
    machines: Mapping[str, MachineOptions] = field(default_factory=dict)
    """State machines of other services, by name."""
    dlq: DlqOptions = field(default_factory=DlqOptions)
    lag: LagOptions = field(default_factory=LagOptions)
    status: Thresholds = field(default_factory=Thresholds)
    worker: WorkerOptions = field(default_factory=WorkerOptions)
    alerts: AlertsOptions = field(default_factory=AlertsOptions)
    otel: OtelOptions = field(default_factory=OtelOptions)
    http: HttpOptions = field(default_factory=HttpOptions)
    log: LogOptions = field(default_factory=LogOptions)
    tui: TuiOptions = field(default_factory=TuiOptions)


@dataclass(frozen=True, slots=True)
class Key:
    """One value that can be set."""

    name: str
    """Dotted, as in `outbox.columns.seq`."""
    type: Any
    """Its type with the bounds that `msgspec` checks."""
    default: object
    """MISSING where it must be said."""
    secret: bool
    """True where the value is, or may hold, a secret."""

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "TICKETOPS_" + self.name.upper().replace(".", "_").replace("-", "_")

    @property
    def is_map(self) -> bool:
        """True where the value is a table with names of the user's own."""
        return get_origin(self.type) is Mapping

    @property
    def is_list(self) -> bool:
        """True where the value is a list."""
        return get_origin(self.type) is tuple


@cache
def _defaults() -> Config:
    return Config()


@cache
def keys() -> Mapping[str, Key]:
    """Every key by its dotted name; of named sections, those of the defaults."""
    return {key.name: key for key in _walk(Config, "")}


@cache
def families() -> Mapping[str, type[Any]]:
    """Sections of the user's own naming, such as `dlq.queues`, with what each of them has."""
    return dict(_families(Config, ""))


@cache
def sections() -> frozenset[str]:
    """Every dotted name that is a section, not a value; of named sections, those of the defaults."""
    return sections_of(keys()) | families().keys()


def sections_of(names: Iterable[str]) -> frozenset[str]:
    """The sections that these keys stand in, at any depth."""
    found = set()
    for name in names:
        while name := name.rpartition(".")[0]:
            found.add(name)
    return frozenset(found)


def is_section(name: str) -> bool:
    """True for a section, also for a named one that no default has."""
    family, _, own = name.rpartition(".")
    return name in sections() or (family in families() and NAME.fullmatch(own) is not None)


@cache
def family_of(name: str) -> tuple[str, str, str]:
    """The family, the name in it and the key of a dotted name; three empty texts where it is in none."""
    for family in families():
        if name.startswith(f"{family}."):
            own, _, key = name.removeprefix(f"{family}.").partition(".")
            return family, own, key
    return "", "", ""


def key_of(name: str) -> Key | None:
    """The key of a dotted name, also in a named section that no default has; None where there is none."""
    if name in keys():
        return keys()[name]
    family, own, key = family_of(name)
    if not NAME.fullmatch(own):
        return None
    return _members(family, own).get(f"{family}.{own}.{key}")


@cache
def _members(family: str, own: str) -> Mapping[str, Key]:
    """Every key that one named section may have, by its dotted name."""
    return {found.name: found for found in _member(family, own, everything=True)}


def names_of(family: str, own: str, kind: object = None) -> Iterator[str]:
    """The dotted names that a named section of a kind has; of every kind where None is said."""
    for item in fields(families()[family]):
        if kind is None or item.metadata.get(ONLY, kind) == kind:
            yield f"{family}.{own}.{item.name}"


def build(values: Mapping[str, object]) -> Config:
    """The configuration made of converted values by dotted name."""
    return _build(Config, "", values)


def _hints(kind: type[Any]) -> Mapping[str, Any]:
    """The types of a section's fields; Python takes its time to tell them."""
    return _told(kind)  # type: ignore[arg-type]  # a class is hashable


@cache
def _told(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _walk(kind: type[Any], prefix: str) -> Iterator[Key]:
    hints = _hints(kind)
    for item in fields(kind):
        hint, name = hints[item.name], prefix + item.name
        if is_dataclass(hint):
            yield from _walk(hint, f"{name}.")  # type: ignore[arg-type]
        elif _named(hint):
            for own in _default(item):
                yield from _member(name, own, everything=False)
        else:
            yield Key(name, hint, _default(item), secret=not item.repr)


def _families(kind: type[Any], prefix: str) -> Iterator[tuple[str, type[Any]]]:
    hints = _hints(kind)
    for item in fields(kind):
        if is_dataclass(hints[item.name]):
            yield from _families(hints[item.name], f"{prefix}{item.name}.")
        elif member := _named(hints[item.name]):
            yield prefix + item.name, member


def _named(hint: object) -> type[Any] | None:
    """What the members of a table of sections are; None for every other type."""
    arguments = get_args(hint) if get_origin(hint) is Mapping else ()
    return arguments[1] if arguments and is_dataclass(arguments[1]) else None  # type: ignore[return-value]


def _member(family: str, own: str, *, everything: bool) -> Iterator[Key]:
    """The keys of one named section: those of its kind, or all that any kind has."""
    kind = families()[family]
    default = value_of(_defaults(), family).get(own)  # type: ignore[attr-defined]
    wanted = set() if everything else set(names_of(family, own, getattr(default, KIND, None)))
    hints = _hints(kind)
    for item in fields(kind):
        name = f"{family}.{own}.{item.name}"
        if everything or name in wanted:
            value = _default(item) if default is None else getattr(default, item.name)
            yield Key(name, hints[item.name], value, secret=not item.repr)


def _default(item: "Field[Any]") -> Any:  # noqa: ANN401 - of the field's own type
    return item.default_factory() if item.default_factory is not MISSING else item.default


def _build(kind: type[_T], prefix: str, values: Mapping[str, object]) -> _T:
    hints = _hints(kind)
    made: dict[str, object] = {}
    for item in fields(kind):  # type: ignore[arg-type]
        name, hint = prefix + item.name, hints[item.name]
        if member := _named(hint):
            made[item.name] = {own: _build_member(member, f"{name}.{own}.", values) for own in _owns(name, values)}
        else:
            made[item.name] = _build(hint, f"{name}.", values) if is_dataclass(hint) else values[name]  # type: ignore[arg-type]
    return kind(**made)


def _build_member(kind: type[_T], prefix: str, values: Mapping[str, object]) -> _T:
    """A named section; what its kind does not have is left as it is by default."""
    return kind(**{item.name: values[prefix + item.name] for item in fields(kind) if prefix + item.name in values})  # type: ignore[arg-type]


def _owns(family: str, values: Mapping[str, object]) -> Iterator[str]:
    yield from dict.fromkeys(family_of(name)[1] for name in values if name.startswith(f"{family}."))


def value_of(config: Config, name: str) -> object:
    """The value of a dotted name."""
    return reduce(_step, name.split("."), config)


def _step(value: Any, name: str) -> Any:  # noqa: ANN401 - of the option's own type
    return value[name] if isinstance(value, Mapping) else getattr(value, name)

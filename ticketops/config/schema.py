"""The whole configuration as one frozen value, and the list of its keys."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from functools import cache, reduce
from typing import Any, Final, TypeVar, get_origin, get_type_hints

from ticketops.options import (
    HttpOptions,
    KafkaOptions,
    LogOptions,
    OutboxOptions,
    PostgresOptions,
    RedisOptions,
    RelayOptions,
    StateOptions,
)

_T = TypeVar("_T")

DEFAULT_CONTEXT: Final = "default"
"""The name of the file's own sections, without any of `[contexts]`."""


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
    http: HttpOptions = field(default_factory=HttpOptions)
    log: LogOptions = field(default_factory=LogOptions)


@dataclass(frozen=True, slots=True)
class Key:
    """One value that can be set."""

    name: str
    """Dotted, as in `outbox.columns.seq`."""
    type: Any
    """Its type with the bounds that `msgspec` checks."""
    default: object
    secret: bool
    """True where the value is, or may hold, a secret."""

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "TICKETOPS_" + self.name.upper().replace(".", "_")

    @property
    def is_map(self) -> bool:
        """True where the value is a table with names of the user's own."""
        return get_origin(self.type) is Mapping

    @property
    def is_list(self) -> bool:
        """True where the value is a list."""
        return get_origin(self.type) is tuple


@cache
def keys() -> Mapping[str, Key]:
    """Every key by its dotted name."""
    return {key.name: key for key in _walk(Config, "")}


@cache
def sections() -> frozenset[str]:
    """Every dotted name that is a section, not a value."""
    names = (name.rpartition(".")[0] for name in keys())
    return frozenset(name for name in names if name) | {"outbox"}


def build(values: Mapping[str, object]) -> Config:
    """The configuration made of converted values by dotted name."""
    return _build(Config, "", values)


def _walk(kind: type[Any], prefix: str) -> Iterator[Key]:
    hints = get_type_hints(kind, include_extras=True)
    for item in fields(kind):
        hint = hints[item.name]
        if is_dataclass(hint):
            yield from _walk(hint, f"{prefix}{item.name}.")  # type: ignore[arg-type]
        else:
            yield Key(prefix + item.name, hint, _default(item), secret=not item.repr)


def _default(item: "Field[Any]") -> object:
    return item.default_factory() if item.default_factory is not MISSING else item.default


def _build(kind: type[_T], prefix: str, values: Mapping[str, object]) -> _T:
    hints = get_type_hints(kind)
    made = {}
    for item in fields(kind):  # type: ignore[arg-type]
        name = prefix + item.name
        made[item.name] = (
            _build(hints[item.name], f"{name}.", values) if is_dataclass(hints[item.name]) else values[name]
        )
    return kind(**made)


def value_of(config: Config, name: str) -> object:
    """The value of a dotted name."""
    return reduce(getattr, name.split("."), config)

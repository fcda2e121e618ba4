"""A commented configuration file, made of the options and their docstrings."""

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Final, get_type_hints

from ticketops.config.schema import Config, families, family_of, keys

_HEAD: Final = """\
# TicketOps' configuration: every key with its default.
#
# A flag (--set relay.batch_size=500) wins over an environment variable (TICKETOPS_RELAY_BATCH_SIZE=500),
# which wins over this file, which wins over the defaults. `ticketops config show` says where each value came from,
# `ticketops config check` looks for mistakes.
#
# This file is looked for at --config, $TICKETOPS_CONFIG, ./ticketops.toml and in the user's configuration folder.
# Secrets are best kept out of it: name a file in url_file or password_file, or set a variable. They are never flags.
"""
_TAIL: Final = """\
# State machines of other services get the commands of `ticketops state` with --machine NAME.
#
# [machines.shipment]
# table = "shipments"
# history_table = "shipment_transitions"
# initial = "NEW"
# transitions = ["NEW + PACK -> PACKED", "PACKED + SEND -> SENT", "NEW + CANCEL -> GONE", "PACKED + CANCEL -> GONE"]
# terminal = ["GONE"]
# success = ["SENT"]
# columns = {key = "shipment_id", state = "state", updated_at = "changed_at"}
# limits = {PACKED = 7200}
#
# Contexts: several environments in one file. A context's sections are laid over those above; choose one with
# --context, TICKETOPS_CONTEXT or the key `context` at the top. Only this file can lift a context's read_only.
#
# [contexts.production]
# read_only = true
# [contexts.production.postgres]
# url_file = "/run/secrets/booking-url"
# [contexts.production.kafka]
# bootstrap_servers = "kafka-1:9092,kafka-2:9092,kafka-3:9092"
"""
_MAP_NOTES: Final[Mapping[str, str]] = {
    "kafka.properties": '# "security.protocol" = "SASL_SSL"\n# "sasl.mechanism" = "SCRAM-SHA-512"\n',
    "lag.bound_by_topic": '# "audit-events" = 10000\n',
    "tui.keys": '# freeze = "f"\n# step-back = "ctrl+b"\n',
    "outbox.on_failure_by_topic": '# "payment-events" = "block"\n',
}


def example() -> str:
    """The text of `config.example.toml`, which `ticketops config init` writes."""
    return "\n".join([_HEAD, *_section(Config, ""), _TAIL])


def docs_of(kind: type[Any]) -> Mapping[str, str]:
    """The docstring under each field of a dataclass, or under each member of an enum."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(kind)
    found = {}
    for item, after in zip(body.body, body.body[1:], strict=False):
        targets = [item.target] if isinstance(item, ast.AnnAssign) else getattr(item, "targets", [])
        found.update({target.id: _text(after) for target in targets if isinstance(target, ast.Name)})
    return found


def toml_value(value: object) -> str:
    """A value as TOML writes it."""
    match value:
        case Enum():
            return toml_value(value.value)
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case list() | tuple():
            return "[" + ", ".join(toml_value(item) for item in value) + "]"
        case Mapping():
            pairs = (f"{toml_key(str(key))} = {toml_value(item)}" for key, item in value.items())
            return "{" + ", ".join(pairs) + "}"
        case _:
            return str(value)


def toml_key(name: str) -> str:
    """A name as a TOML key, in quotes where it needs them."""
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else toml_value(name)


def _text(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def _section(kind: type[Any], name: str) -> Iterator[str]:
    """The section with its plain keys, then its tables, then the sections below it: TOML's own order."""
    hints, docs = get_type_hints(kind, include_extras=True), docs_of(kind)
    dotted = {item.name: f"{name}.{item.name}".lstrip(".") for item in fields(kind)}
    below = [item.name for item in fields(kind) if is_dataclass(hints[item.name])]
    named = [item for item in dotted if dotted[item] in families()]
    tables = [item for item in dotted if item not in (*below, *named) and keys()[dotted[item]].is_map]
    plain = [item for item in dotted if item not in (*below, *named, *tables)]
    head = f"# {inspect.getdoc(kind)}\n[{name}]\n" if name else ""
    yield head + "".join(_key(item, dotted[item], docs[item]) for item in plain)
    for item in tables:
        yield _table(dotted[item], docs[item])
    for item in named:
        yield from _members(dotted[item], docs[item])
    for item in below:
        yield from _section(hints[item], dotted[item])


def _key(name: str, dotted: str, doc: str) -> str:
    return f"# {doc}\n{name} = {toml_value(keys()[dotted].default)}\n"


def _members(family: str, doc: str) -> Iterator[str]:
    """One section for each that there is by default; the first says what all of them are."""
    docs, sections = docs_of(families()[family]), dict[str, list[str]]()
    for name in keys():
        if family_of(name)[0] == family:
            sections.setdefault(name.rpartition(".")[0], []).append(name)
    for number, (section, names) in enumerate(sections.items()):
        head = f"[{section}]\n" if number else f"# {doc}\n[{section}]\n"
        yield head + "".join(_key(name.rpartition(".")[2], name, docs[name.rpartition(".")[2]]) for name in names)


def _table(dotted: str, doc: str) -> str:
    default = keys()[dotted].default
    items = default.items() if isinstance(default, Mapping) else ()
    lines = "".join(f"{toml_key(str(key))} = {toml_value(value)}\n" for key, value in items)
    return f"# {doc}\n[{dotted}]\n{lines}{_MAP_NOTES.get(dotted, '')}"

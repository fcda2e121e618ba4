"""`--set section.key=value` by dotted name."""

from collections.abc import Iterable

from ticketops.config.origins import Entry, Layer, Origin, Source
from ticketops.config.problems import Problem, did_you_mean
from ticketops.config.redact import is_secret_name, redact
from ticketops.config.schema import NAME, Key, family_of, key_of, keys, names_of


def layer(assignments: Iterable[str]) -> Layer:
    """What the flags say; a secret among them is refused, since every user of the machine can read flags."""
    found = Layer()
    for assignment in assignments:
        name, sign, value = assignment.partition("=")
        problem = _set(found, name.strip(), value) if sign else _no_sign(assignment)
        if problem:
            found.problems.append(problem)
    return found


def _set(found: Layer, name: str, value: str) -> Problem | None:
    key, item = _resolve(name)
    if key is None:
        return Problem(f"--set {name}: there is no such key", hint=did_you_mean(name, _known(name)))
    if name == "context":
        return Problem("--set cannot choose the context", hint="use --context")
    if _is_secret(key, item, value):
        hint = f"set {key.variable}, or name a file in {_reference(key)}"
        return Problem(f"--set {name} would show a secret", why="others can read the flags of a process", hint=hint)
    origin = Origin(Source.FLAG, f"--set {name}")
    if item:
        previous = found.entries.get(key.name)
        items = dict(previous.value) if previous and isinstance(previous.value, dict) else {}
        found.entries[key.name] = Entry({**items, item: value}, origin, merged=True)
    else:
        found.entries[key.name] = Entry(value, origin, textual=True)
    return None


def _resolve(name: str) -> tuple[Key | None, str]:
    """The key, and the name inside it where it is a table."""
    if key := key_of(name):
        return key, ""
    for key in keys().values():
        if key.is_map and name.startswith(f"{key.name}."):
            return key, name.removeprefix(f"{key.name}.")
    return None, ""


def _known(name: str) -> list[str]:
    family, own, _ = family_of(name)
    return [*keys(), *(names_of(family, own) if NAME.fullmatch(own) else ())]


def _is_secret(key: Key, item: str, value: str) -> bool:
    return key.secret and (is_secret_name(item or key.name) or redact(value) != value)


def _reference(key: Key) -> str:
    section = key.name.rpartition(".")[0]
    return f"{key.name}_file" if f"{key.name}_file" in keys() else f"[{section}] of the file"


def _no_sign(assignment: str) -> Problem:
    return Problem(f"--set {assignment}: there is no =", hint="write --set section.key=value")

"""Named sections such as `[dlq.queues.NAME]`: which there are, and what each must and may say."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from ticketops.config.origins import Entry, Layer
from ticketops.config.problems import Problem
from ticketops.config.schema import Key, families, family_of, key_of, keys, names_of
from ticketops.config.values import expected
from ticketops.options.dlq import KIND


def names(stored: Sequence[Layer], entries: Mapping[str, Entry]) -> dict[str, list[str]]:
    """The named sections by family: the file's own instead of the defaults, and what all other places add."""
    return {family: list(dict.fromkeys(_names(family, stored, entries))) for family in families()}


def _names(family: str, stored: Sequence[Layer], entries: Mapping[str, Entry]) -> Iterator[str]:
    own = stored[0].named.get(family) if stored else None
    yield from _defaults(family) if own is None else own
    for layer in stored[1:]:
        yield from layer.named.get(family, ())
    for name in entries:
        if family_of(name)[0] == family:
            yield family_of(name)[1]


def _defaults(family: str) -> Iterator[str]:
    for name in keys():
        if family_of(name)[0] == family:
            yield family_of(name)[1]


def keys_of(family: str, own: str) -> dict[str, Key]:
    """Every key that a named section may have, whatever its kind."""
    found = (key_of(name) for name in names_of(family, own))
    return {key.name: key for key in found if key}


def kind_of(family: str, own: str) -> str:
    """The dotted name of the key that says its kind."""
    return f"{family}.{own}.{KIND}"


def without(gathered: Layer, known: Mapping[str, Key], missing: Sequence[str]) -> Iterator[Problem]:
    """The problems of a named section that leaves out what must be said; none where what it says is told already."""
    section = missing[0].rpartition(".")[0]
    place = next((entry.origin.place for name, entry in gathered.entries.items() if name in known), f"[{section}]")
    for name in missing:
        if name not in gathered.entries:
            key = name.rpartition(".")[2]
            yield Problem(f"{place}: {section} has no {key}", why=f"expected {expected(known[name].type)}")


def without_meaning(gathered: Layer, known: Mapping[str, Key], wanted: Collection[str], kind: object) -> list[Problem]:
    """The problems of keys that are set and belong to another kind."""
    siblings = ", ".join(name.rpartition(".")[2] for name in wanted)
    return [
        Problem(
            f"{entry.origin.place}: {name} means nothing",
            why=f"{name.rpartition('.')[0]} is of the kind {kind}, which has {siblings}",
            hint="leave it out, or change the kind",
        )
        for name, entry in gathered.entries.items()
        if name in known and name not in wanted
    ]

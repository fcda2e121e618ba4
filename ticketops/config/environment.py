"""TICKETOPS_… variables by dotted name."""

from collections.abc import Iterable, Mapping
from typing import Final

from ticketops.config.origins import Entry, Layer, Origin, Source
from ticketops.config.problems import did_you_mean
from ticketops.config.schema import key_of, keys

_OTHERS: Final = frozenset({"TICKETOPS_CONFIG", "TICKETOPS_CONTEXT"})
_IGNORED: Final = "TICKETOPS_TEST_"


def layer(environ: Mapping[str, str], names: Iterable[str] = ()) -> Layer:
    """What the environment says; an unknown TICKETOPS_ variable is a warning.

    `names` are the keys that named sections of the file have beside the defaults.
    """
    found = Layer()
    known = {key.variable: key.name for key in (*keys().values(), *filter(None, map(key_of, names)))}
    for variable, value in environ.items():
        if not variable.startswith("TICKETOPS_") or variable in _OTHERS or variable.startswith(_IGNORED):
            continue
        if variable in known:
            origin = Origin(Source.ENVIRONMENT, variable)
            found.entries[known[variable]] = Entry(value, origin, textual=True)
        else:
            found.warnings.append(_unknown(variable, known))
    return found


def _unknown(variable: str, known: Mapping[str, str]) -> str:
    hint = did_you_mean(variable, [*known, *_OTHERS])
    return f"the variable {variable} means nothing to TicketOps" + (f"; {hint}" if hint else "")

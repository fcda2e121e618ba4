"""A dead letter as bytes, complete, for the archive."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from ticketops.backends.store.columns import escaped, plain
from ticketops.domain.deadletters import DeadLetter
from ticketops.errors import DataError

_FORMAT = 1


def pack(letter: DeadLetter) -> bytes:
    """Everything that is known of it; msgpack, so that bytes stay bytes."""
    values = {one.name: _escaped(getattr(letter, one.name)) for one in fields(letter)}
    return msgspec.msgpack.encode([_FORMAT, values])


def unpack(data: bytes) -> DeadLetter:
    """What `pack` was given; DataError where a newer TicketOps packed it."""
    version, values = msgspec.msgpack.decode(data)
    if version != _FORMAT:
        raise DataError(
            f"an archived item has format {version}, which this TicketOps does not know",
            hint="use the version of TicketOps that discarded it, or a newer one",
        )
    return msgspec.convert(_plain(values), DeadLetter)


def _escaped(value: Any) -> Any:  # noqa: ANN401 - a field of any type
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, Mapping):
        return {escaped(name): _escaped(one) for name, one in value.items()}
    return [_escaped(one) for one in value] if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:  # noqa: ANN401 - a field of any type
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(name): _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value

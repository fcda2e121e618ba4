"""Entries of the list that the email workers take jobs from."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec

_decoder: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def entry_ids(entries: Iterable[bytes]) -> Iterator[str]:
    """The ids of the jobs that entries of the list tell of; nothing of an entry that cannot be read."""
    for entry in entries:
        try:
            yield str(_decoder.decode(entry).get("id"))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue

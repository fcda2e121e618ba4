"""A message in the wire format of Protocol Buffers, of text, counts and lists of text by field number."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

Value = str | int | Sequence[str]
_NUMBER: Final = 0
_LENGTH: Final = 2
"""Wire types: https://protobuf.dev/programming-guides/encoding/"""


def message(fields: Mapping[int, Value]) -> bytes:
    """The message; what is empty or 0 is left out, as proto3 does. Counts are not negative."""
    return b"".join(part for number in sorted(fields) for part in _field(number, fields[number]))


def _field(number: int, value: Value) -> Iterator[bytes]:
    if isinstance(value, int):
        if value:
            yield _varint(number << 3 | _NUMBER) + _varint(value)
        return
    for text in [value] if isinstance(value, str) and value else value:
        content = text.encode(errors="replace")
        yield _varint(number << 3 | _LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)

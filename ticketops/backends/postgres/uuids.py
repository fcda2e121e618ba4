"""uuid[] parameters in PostgreSQL's binary form, built from 16-byte ids without a UUID object each."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import Connection, Cursor
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_UUID_OID = 2950
_UUID_ARRAY_OID = 2951
_EMPTY = struct.pack(">iiI", 0, 0, _UUID_OID)


@dataclass(frozen=True, slots=True)
class UuidArray:
    """An encoded uuid[]."""

    encoded: bytes

    @classmethod
    def of(cls, ids: Iterable[bytes]) -> "UuidArray":
        """The array of these 16-byte ids."""
        items = [b"\x00\x00\x00\x10" + i for i in ids]
        if not items:
            return cls(_EMPTY)
        return cls(struct.pack(">iiIii", 1, 0, _UUID_OID, len(items), 1) + b"".join(items))


class _UuidArrayDumper(Dumper):
    format = Format.BINARY
    oid = _UUID_ARRAY_OID

    def dump(self, obj: UuidArray) -> Buffer:
        return obj.encoded


def register(context: Connection[tuple[object, ...]] | Cursor[tuple[object, ...]]) -> None:
    """Let statements of this connection or cursor take UuidArray parameters."""
    context.adapters.register_dumper(UuidArray, _UuidArrayDumper)

"""The record that a dead letter was, where it is still in its topic."""

from collections.abc import Mapping

from ticketops.backends.kafka.dead_letters_reader import RecordReader
from ticketops.backends.kafka.dead_letters_record import Record
from ticketops.domain.deadletters import SourceRecord
from ticketops.domain.ledger import Place
from ticketops.domain.record_headers import Position, business_headers, read_death
from ticketops.errors import BackendError, BackendUnavailable


def source_position(record: Record) -> Position | None:
    """Where the record was read at first; None where its headers do not say so."""
    return read_death(record.headers).origin.position


def source_records(reader: RecordReader, records: Mapping[Place, Record], *, every: bool) -> dict[Place, Record]:
    """The sources that are needed, by the places of the dead letters: all, or of those that lost their headers.

    One whose key is another is not the source any more: its topic was made anew.
    """
    wanted: dict[Place, Position] = {}
    for place, record in records.items():
        if not (every or read_death(record.headers).family.loses_headers):
            continue
        if (position := source_position(record)) is not None:
            wanted[place] = position
    found = _read(reader, set(wanted.values()))
    return {
        place: found[position]
        for place, position in wanted.items()
        if position in found and _is_source(records[place], found[position])
    }


def compare_source(reader: RecordReader, record: Record | None) -> SourceRecord:
    """Whether the source is there, and differs from the dead letter."""
    position = source_position(record) if record is not None else None
    if record is None or position is None:
        return SourceRecord(position="", found=False, note="its headers do not say where it came from")
    source = _read(reader, {position}).get(position)
    if source is None:
        return SourceRecord(position=str(position), found=False, note="the source record is gone")
    if not _is_source(record, source):
        return SourceRecord(position=str(position), found=False, note="another record is there: its key is another")
    differs = tuple(_differences(record, source))
    return SourceRecord(
        position=str(position),
        found=True,
        differs=differs,
        key=source.key,
        payload=source.value,
        headers=source.headers,
    )


def _differences(record: Record, source: Record) -> list[str]:
    found = []
    if record.value != source.value:
        found.append("payload")
    if business_headers(record.headers) != business_headers(source.headers):
        found.append("headers")
    return found


def _is_source(record: Record, source: Record) -> bool:
    """A share group leaves the key out too, where it does not copy records."""
    return record.key == source.key or (record.key is None and read_death(record.headers).family.loses_headers)


def _read(reader: RecordReader, positions: set[Position]) -> dict[Position, Record]:
    """Those that are still there; a topic that cannot be read has none."""
    found: dict[Position, Record] = {}
    for topic in sorted({position.topic for position in positions}):
        places = {Place(one.partition, one.offset) for one in positions if one.topic == topic}
        try:
            records = reader.at(topic, places)
        except BackendUnavailable:
            raise
        except BackendError:
            continue
        found |= {Position(topic, *place): record for place, record in records.items()}
    return found

"""A dead letter for people: its payload, its headers and its source as text; bytes that are none are told as such."""

from typing import Final

from ticketops.domain.deadletters import DeadLetter, SourceRecord

MOST_SHOWN: Final = 65_536
"""Bytes of a payload that people are shown; `dlq show --raw` has all."""
_INTEGER: Final = 8
"""Bytes of the longest number that a header is taken for."""


def payload_text(letter: DeadLetter) -> str:
    """The payload laid out for reading where it is JSON, in hexadecimal where it is no text; foreign text."""
    from ticketops.domain.json_pretty import pretty  # noqa: PLC0415 - `--help` must not pay for it

    payload = letter.payload
    if payload is None:
        return f"({letter.problem or 'none'})"
    text = _shortened(payload)
    rest = len(payload) - MOST_SHOWN
    more = f"\n… {rest} more bytes; --raw writes all {len(payload)}" if rest > 0 else ""
    if text is None:
        return f"({len(payload)} bytes that are not text; --raw writes them)\n{_hex(payload)}{more}"
    return (pretty(text) or text) + more


def header_text(value: bytes | None) -> str:
    """Text, a big-endian number, or hexadecimal."""
    if value is None:
        return "(null)"
    text = text_of(value)
    if text is not None and text.isprintable():
        return text
    if len(value) <= _INTEGER and not _is_printable(text):
        return f"{int.from_bytes(value, signed=True)} (binary)"
    return text if text is not None else f"0x{value.hex()}"


def source_text(source: SourceRecord) -> str:
    """Whether the record that died is still there, and the same."""
    if not source.found:
        return f"{source.position} {source.note}".strip()
    if not source.differs:
        return f"{source.position} is still there, and the same"
    return (
        f"{source.position} is still there and differs in {', '.join(source.differs)}; requeue --from-source sends it"
    )


def text_of(value: bytes | None) -> str | None:
    """As UTF-8; None where it is none."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _shortened(payload: bytes) -> str | None:
    """The first bytes as UTF-8, where it is; a character that was cut at the end is left out."""
    part = payload[:MOST_SHOWN]
    try:
        return part.decode()
    except UnicodeDecodeError as error:
        cut = len(part) == MOST_SHOWN and error.reason == "unexpected end of data"
        return part[: error.start].decode() if cut else None


def _hex(payload: bytes, rows: int = 16, width: int = 16) -> str:
    """The first bytes, in hexadecimal and as ASCII."""
    lines = (payload[start : start + width] for start in range(0, min(len(payload), rows * width), width))
    return "\n".join(f"{line.hex(' '):<{width * 3}} {_ascii(line)}" for line in lines)


def _ascii(line: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in line)  # noqa: PLR2004 - what ASCII prints


def _is_printable(text: str | None) -> bool:
    return text is not None and all(character.isprintable() or character in "\r\n\t" for character in text)

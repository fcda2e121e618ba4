"""What is drawn where a terminal shows nothing but ASCII."""

from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_KNOWN: Final = str.maketrans({"…": ".", "“": '"', "”": '"', "─": "-", "↓": "v", "↑": "^", "·": "."})
_ROUND: Final = 0x80


class Ascii(LineFilter):
    """One character of ASCII for each other one; wide ones take two."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """See LineFilter."""
        del background
        return [
            segment if segment.control or segment.text.isascii() else Segment(_plain(segment), segment.style)
            for segment in segments
        ]


def _plain(segment: Segment) -> str:
    text = segment.text.translate(_KNOWN)
    return "".join(one if ord(one) < _ROUND else "?" for one in text).ljust(segment.cell_length, "?")

"""What is drawn where a terminal shows nothing but ASCII."""

from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_LOOKALIKES: Final = {
    "-": "─━═╌╍┄┅┈┉▔▀",
    "|": "│┃║╎╏┆┇┊┋▌▐▏▎▍▋▊▉▕",
    "_": "▁▂▃▄",
    "#": "█▅▆▇",
    '"': "“”",
    ".": "…·",
    "v": "↓",
    "^": "↑",
}
_DRAWN: Final = range(0x2500, 0x25A0)
_KNOWN: Final = dict.fromkeys(_DRAWN, "+") | {ord(one): sign for sign, ones in _LOOKALIKES.items() for one in ones}
"""Frames and blocks have something for each of their characters: a question mark says that something is unknown."""
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

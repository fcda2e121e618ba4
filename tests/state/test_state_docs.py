from pathlib import Path

from ticketops.domain.bookings import BOOKING
from ticketops.domain.diagram import Drawing, draw

PAGE = Path(__file__).parents[2] / "docs/state.md"


def test_the_diagram_in_the_docs_is_the_one_that_the_program_makes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("```mermaid\n") == 1
    assert text.partition("```mermaid\n")[2].partition("```")[0] == draw(BOOKING, Drawing.MERMAID)

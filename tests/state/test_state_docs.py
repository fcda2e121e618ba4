import re
from pathlib import Path

import pytest

from ticketops.domain.bookings import BOOKING
from ticketops.domain.diagram import Drawing, draw

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["state.md", "payments.md"])
def test_the_diagram_in_the_docs_is_the_one_that_the_program_makes(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"```mermaid\n(stateDiagram.*?)```", text, re.DOTALL)
    assert found == [draw(BOOKING, Drawing.MERMAID)]

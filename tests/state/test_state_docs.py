import re
from pathlib import Path

import pytest

from ticketops.domain.bookings import BOOKING
from ticketops.domain.diagram import Drawing, draw

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["docs/state.md", "docs/payments.md", "README.md"])
def test_the_diagram_in_the_docs_is_the_one_that_the_program_makes(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"```mermaid\n(stateDiagram.*?)```", text, re.DOTALL)
    assert found == [draw(BOOKING, Drawing.MERMAID)]

"""Tables on narrow terminals: headings are whole, and columns are left out before they are cut."""

import pytest

from ticketops.cli.cells import Show
from ticketops.cli.lag import _GROUP as LAG
from ticketops.cli.output import Column
from ticketops.cli.state.looking import _STUCK as STUCK
from ticketops.cli.tables import table

ID = "0198c0de-0000-7000-8000-00000000beef"


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def drawn(columns: tuple[Column, ...], *values: str) -> list[str]:
    shown = [column for column in columns if not column.wide]
    assert len(values) == len(shown)
    return table(shown, [values], color=False, wide=False).splitlines()


def test_what_is_stuck_says_what_it_misses_on_a_narrow_terminal() -> None:
    heading, row = drawn(
        STUCK, ID, "BK-104311", "PAYMENT_PENDING", "3h02m", "15m00s", "yes", "outbox", "event 7 has not left the outbox"
    )
    assert heading.split() == ["KEY", "REFERENCE", "STATE", "WAITS", "MISSING", "WHY"]
    assert ID in row
    assert max(len(heading), len(row)) <= 80


def test_groups_have_whole_headings_on_a_narrow_terminal() -> None:
    heading, row = drawn(
        LAG, "X STOP", "ticketops-email-worker-prod-eu", "41 203", "12m40s", "3h02m", "3", "booking-events", "nobody"
    )
    assert heading.split()[:4] == ["VERDICT", "GROUP", "LAG", "OLDEST"]
    assert heading.split()[-2:] == ["TOPICS", "NOTE"]
    assert "…" not in heading
    assert max(len(heading), len(row)) <= 80


def test_where_only_what_must_be_whole_is_left_lines_get_longer() -> None:
    columns = (Column("id", keep=True), Column("other", keep=True), Column("count", show=Show.COUNT))
    assert drawn(columns, ID, ID * 2, "1")[0].split() == ["ID", "OTHER"]

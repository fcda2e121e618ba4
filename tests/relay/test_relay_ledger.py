"""The judge of the other tests, judged."""

import pytest

from support.ledger import Record, Verdict, judge

_LEDGER = {"K": ["1", "2", "3"], "L": ["4"]}


def _records(*events: str, key: str = "K", partition: int = 0) -> list[Record]:
    return [Record("t", partition, offset, key, event, b"", {}) for offset, event in enumerate(events)]


@pytest.mark.parametrize(
    ("seen", "lost", "reordered", "repeats", "strange"),
    [
        (_records("1", "2", "3"), 0, 0, 0, 0),
        (_records("1", "2", "1", "2", "3"), 0, 0, 2, 0),
        (_records("2", "1", "2", "3"), 0, 1, 1, 0),
        (_records("3", "1", "2"), 0, 2, 0, 0),
        (_records("1", "3"), 1, 0, 0, 0),
        (_records("1", "2", "3", "never committed"), 0, 0, 0, 1),
        ([*_records("1", "2"), *_records("3", partition=1)], 0, 0, 0, 1),
    ],
)
def test_what_is_lost_reordered_repeated_or_strange(
    seen: list[Record], lost: int, reordered: int, repeats: int, strange: int
) -> None:
    verdict = judge(_LEDGER, [*seen, *_records("4", key="L")])
    assert verdict == Verdict(4, lost, reordered, repeats, strange)
    assert verdict.kept is not bool(lost or reordered or strange)

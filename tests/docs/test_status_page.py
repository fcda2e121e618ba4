"""What docs/status.md says of verdicts and metrics is true."""

import re
from pathlib import Path

from support.snapshots import everything
from ticketops.domain.lag.verdicts import EXPLANATIONS
from ticketops.services.overview.series import metrics

PAGE = (Path(__file__).parents[2] / "docs/status.md").read_text(encoding="utf-8")


def test_the_table_of_verdicts_is_what_the_program_knows() -> None:
    rows = [
        f"| `{verdict}` | {verdict.grade} | {said.meaning} | {said.cause or '-'} | {said.next_step} |"
        for verdict, said in EXPLANATIONS.items()
    ]
    found = re.search(r"<!-- verdicts:begin -->\n(.*?)<!-- verdicts:end -->", PAGE, re.DOTALL)
    assert found is not None
    assert found[1].splitlines()[2:] == rows


def test_every_metric_is_on_the_page() -> None:
    for metric in metrics(everything(), ()):
        prefix, _, suffix = metric.name.rpartition("_")
        assert metric.name in PAGE or f"_{suffix}`" in PAGE or f"_{prefix.rpartition('_')[2]}_{suffix}`" in PAGE, metric

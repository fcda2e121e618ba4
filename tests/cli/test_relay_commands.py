import pytest

from support.cli import Cli
from ticketops.cli.relay import spans


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([3], "3"), ([0, 1, 2, 3], "0-3"), ([0, 1, 5, 7, 8], "0-1, 5, 7-8")],
)
def test_neighboring_shards_are_drawn_together(numbers: list[int], text: str) -> None:
    assert spans(numbers) == text


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [("--topic", "bookings", "booking-events"), ("--aggregate-type", "booking", "BOOKING, PAYMENT, TICKET")],
)
def test_a_pause_of_what_is_not_there_is_refused(cli: Cli, flag: str, value: str, says: str) -> None:
    done = cli("relay", "pause", flag, value, "--yes")
    assert done.code == 2
    assert value in done.err
    assert says in done.err


def test_with_a_pattern_every_topic_and_type_can_be_paused(cli: Cli) -> None:
    (cli.folder / "ticketops.toml").write_text('[outbox.topics]\n"*" = "{type}-events"\n')
    for flag, value in (("--topic", "refund-events"), ("--aggregate-type", "REFUND")):
        assert cli("relay", "pause", flag, value, "--dry-run").code == 0

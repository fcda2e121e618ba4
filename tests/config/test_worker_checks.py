import pytest

from ticketops.config.checks import check
from ticketops.config.schema import Config
from ticketops.options import EmailsOptions, PaymentsOptions, WorkerOptions


@pytest.mark.parametrize(
    ("worker", "what"),
    [
        (WorkerOptions(retry_base=50.0), "worker.retry_cap (30 s) is below worker.retry_base (50 s)"),
        (WorkerOptions(payments=PaymentsOptions(topic="bad topic")), "worker.payments names 'bad topic'"),
        (WorkerOptions(emails=EmailsOptions(retry_topics={"": 1.0})), "worker.emails names ''"),
        (WorkerOptions(member="a/b"), "worker.member 'a/b' holds a slash"),
        (
            WorkerOptions(payments=PaymentsOptions(release="http", release_timeout=10.0)),
            "worker.payments.release_timeout (10 s) reaches postgres.answer_timeout (10 s)",
        ),
        (
            WorkerOptions(payments=PaymentsOptions(retry_topics={"payment-events": 1.0})),
            "worker.payments.retry_topics names its own topic",
        ),
    ],
)
def test_what_contradicts_itself_is_named(worker: WorkerOptions, what: str) -> None:
    (problem,) = check(Config(worker=worker))
    assert problem.what.startswith(what)

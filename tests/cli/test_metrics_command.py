"""`ticketops metrics` as a scraper sees it."""

import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.cli import Cli
from support.waiting import eventually
from ticketops.options import KafkaOptions, PostgresOptions


@pytest.fixture
def configured(cli: Cli, database: PostgresOptions, kafka: KafkaOptions) -> Cli:
    text = f"""
[postgres]
url = "{database.url}"
[kafka]
bootstrap_servers = "{kafka.bootstrap_servers}"
[lag]
groups = ["no-such-group"]
history_file = "history.sqlite3"
[http]
port = 0
"""
    (cli.folder / "ticketops.toml").write_text(text)
    return cli


@pytest.fixture
def exporter(configured: Cli) -> Iterator["subprocess.Popen[str]"]:
    process = configured.start("metrics", "--every", "1")
    yield process
    process.kill()
    process.communicate(timeout=30)


def address(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    line = eventually(process.stderr.readline, 30)
    return line.split("http://")[1].split("/")[0]


def get(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values(text: str) -> dict[str, float]:
    """Each sample by its name and labels."""
    families = text_string_to_metric_families(text)
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in families
        for sample in family.samples
    }


def test_a_scrape_reads_the_snapshot(exporter: "subprocess.Popen[str]") -> None:
    server = address(exporter)
    eventually(lambda: get(server, "/readyz")[0] == 200, 60)
    eventually(lambda: "\nticketops_outbox_pending " in get(server, "/metrics")[1], 60)
    found = values(get(server, "/metrics")[1])
    assert found["ticketops_backend_up['postgres']"] == 1
    assert found["ticketops_outbox_pending[]"] == 0
    assert found["ticketops_check['relay', 'relays']"] == 3
    assert get(server, "/livez")[0] == 200
    exporter.send_signal(signal.SIGTERM)
    assert exporter.wait(timeout=30) == 0


def test_a_part_that_cannot_be_asked_has_no_series(configured: Cli) -> None:
    said = configured("metrics", "--once", "--timeout", "1", "--set", "postgres.url=postgresql://127.0.0.1:1/x")
    assert said.code == 0, said.err
    found = values(said.out)
    assert found["ticketops_backend_up['postgres']"] == 0
    assert not any(name.startswith("ticketops_outbox_pending") for name in found)


def test_a_port_in_use(configured: Cli, exporter: "subprocess.Popen[str]") -> None:
    port = address(exporter).partition(":")[2]
    said = configured("metrics", "--set", f"http.port={port}")
    assert said.code == 1
    assert "cannot listen" in said.err
    assert "Traceback" not in said.err

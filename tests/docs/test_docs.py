"""What the documentation says of commands, keys, metrics and files is true."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commands import parse
from support.snapshots import everything
from ticketops.cli.nouns import NOUNS, root
from ticketops.config import load as load_config
from ticketops.config.schema import keys, sections
from ticketops.domain.alerts.facts import FIELDS
from ticketops.options import HttpOptions, RelayOptions, WorkerOptions
from ticketops.services.metrics import RelayMetrics
from ticketops.services.overview.series import metrics
from ticketops.services.transitions.metrics import TransitionMetrics

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "benchmarks/README.md")),
    *(ROOT / "docs").glob("*.md"),
]
GENERATED = ROOT / "docs/commands.md"
WRITTEN = [page for page in PAGES if page != GENERATED]
UNITS = [ROOT / f"deploy/ticketops-{name}.service" for name in ("relay", "state", "worker@")]
DOCKERFILE = ROOT / "deploy/Dockerfile"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\s*(?:\$ )?(?:\S*/)?ticketops (.*)$")
_CODE = re.compile(r"`([^`\n]+)`")
_KEY = re.compile(r"(postgres|kafka|redis|outbox|relay|dlq|lag|status|alerts|otel|worker|http|log)(\.[a-z_]+)+")
_FUNCTIONS = {"outbox.add"}
_FILE = re.compile(r".*\.(md|toml|py|sql)")


def _blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, body in _FENCE.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield body.replace("\\\n", " ")


def _shell_commands() -> Iterator[str]:
    for page in WRITTEN:
        for block in _blocks(page, "sh", "console", "bash"):
            for line in block.splitlines():
                if found := _COMMAND.match(line):
                    yield found[1]


def _inline_commands() -> Iterator[str]:
    for page in WRITTEN:
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for code in _CODE.findall(text):
            if (found := _COMMAND.match(code)) and re.match(r"[a-z-]", found[1]):
                yield found[1]


@pytest.mark.parametrize("line", sorted({*_shell_commands(), *_inline_commands()}))
def test_a_command_of_the_docs_parses(line: str) -> None:
    parse(line)


def test_the_docs_have_commands() -> None:
    assert len({*_shell_commands()}) > 20


def test_a_wrong_command_would_be_found() -> None:
    for line in ("relay walk", "outbox list --colour", "relay pause --shard x"):
        with pytest.raises(Exception, match=r"verb|option|int range"):
            parse(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_key_that_the_docs_name_exists(page: Path) -> None:
    for code in _CODE.findall(page.read_text(encoding="utf-8")):
        word = code.partition(" ")[0].partition("=")[0]
        if _KEY.fullmatch(word) and not _FILE.fullmatch(word) and word not in _FUNCTIONS:
            fact = word.partition(".")[2] in FIELDS.get(word.partition(".")[0], ())
            assert fact or word in keys() or word in sections(), word


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_variable_that_the_docs_name_exists(page: Path) -> None:
    known = {key.variable for key in keys().values()} | {"TICKETOPS_CONFIG", "TICKETOPS_CONTEXT"}
    for name in re.findall(r"TICKETOPS_[A-Z_]+", page.read_text(encoding="utf-8")):
        assert name in known or name.startswith("TICKETOPS_TEST_"), name


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_configuration_in_the_docs_loads(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(_blocks(page, "toml")):
        tomllib.loads(block)
        file = tmp_path / f"{number}.toml"
        file.write_text(block, encoding="utf-8")
        assert load_config(file=file, environ={}, strict=False).problems == ()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_metric_that_the_docs_name_exists() -> None:
    shown = RelayMetrics({"BOOKING": "booking-events"}).exposition().decode()
    shown += TransitionMetrics().exposition().decode()
    shown += " ".join(f"{metric.name}_total" if metric.counter else metric.name for metric in metrics(everything(), ()))
    for page in WRITTEN:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(
            r"\bticketops_(?:outbox|relays?|backend|dlq|consumer|check|state|compensations|email|booking|alerts|snapshot)_[a-z_]+",
            text,
        ):
            assert name in shown or name == "ticketops_outbox", f"{page.name}: {name}"


def test_the_readme_has_a_place_for_the_figures() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("<!-- figures:begin -->") == text.count("<!-- figures:end -->") == 1


def test_the_picture_of_the_demo_names_no_other_host() -> None:
    picture = (ROOT / "docs/demo.svg").read_text(encoding="utf-8")
    assert "PROVED" in picture
    assert "@font-face" not in picture
    assert not re.findall(r"https?://(?!www\.w3\.org/)", picture)


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.stem)
def test_the_unit_runs_what_there_is(file: Path) -> None:
    unit = file.read_text(encoding="utf-8")
    (line,) = re.findall(r"^ExecStart=\S+/ticketops (.*)$", unit, re.MULTILINE)
    parse(line.replace("%i", "payments"))
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit, re.MULTILINE))
    assert settings["Type"] == "notify"
    assert float(settings["TimeoutStopSec"]) > max(RelayOptions().stop_timeout, WorkerOptions().stop_timeout)
    assert float(settings["WatchdogSec"]) > 60


def test_the_image_runs_what_there_is() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    entry, command = (json.loads(words) for words in re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", text, re.MULTILINE))
    assert entry == ["ticketops"]
    parse(shlex.join(command))
    assert f"EXPOSE {HttpOptions().port}" in text
    assert f"127.0.0.1:{HttpOptions().port}/livez" in text
    assert all("/" not in image for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE))
    copied = " ".join(re.findall(r"^COPY ([^-].*) \S+$", text, re.MULTILINE)).split()
    assert all((ROOT / name).exists() for name in copied)


def test_every_noun_is_known_to_the_root() -> None:
    assert {noun.name for noun in NOUNS} <= set(root().commands)

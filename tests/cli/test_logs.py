import json
import subprocess
import sys

import pytest

SECRET = "Tr0ub4dor-and-3"  # noqa: S105 - the secret that must not be seen

SCRIPT = f"""
import logging, sys
import structlog
from ticketops.cli.process import configure_logs
from ticketops.options import LogOptions
configure_logs(LogOptions(format=sys.argv[1]), frozenset(["{SECRET}"]))
def connect(url):
    raise ValueError("no answer from " + url)
try:
    connect("redis://:" + "{SECRET}"[:] + "@cache/0")
except ValueError:
    log = structlog.get_logger("ticketops")
    log.exception("failed", password="{SECRET}", url="redis://:swordfish@h", text="\\x1b[2J")
    logging.getLogger("driver").exception("failed with %s", "{SECRET}")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_logs_hold_no_secret_and_no_locals(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, form], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert done.stderr.count("Traceback") == 2
    assert SECRET not in done.stderr
    assert "swordfish" not in done.stderr
    assert "\x1b" not in done.stderr
    if form == "json":
        assert [json.loads(line)["level"] for line in done.stderr.splitlines()] == ["error", "error"]

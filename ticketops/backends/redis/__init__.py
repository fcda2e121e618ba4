"""Redis and Valkey: the booking worker's queues, the email jobs' list, dead letters.

The driver looks for OpenTelemetry's metrics when it is imported, and loads all of that where it is installed, which
takes as long as the driver itself. Nothing here is measured by it, so it is not found.
"""

import sys
from typing import Final

_METRICS: Final = "opentelemetry.sdk.metrics"

if _METRICS not in sys.modules:
    sys.modules[_METRICS] = None  # type: ignore[assignment]  # import then raises ImportError, as where it is not installed
    try:
        import redis  # noqa: F401 - for the modules of this folder
    finally:
        del sys.modules[_METRICS]

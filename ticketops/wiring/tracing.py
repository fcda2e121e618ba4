"""Tracing, where it is switched on."""

from typing import TYPE_CHECKING

from ticketops.errors import ConfigError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.ports.tracing import Tracer


def open_tracer(config: "Config", part: str) -> "Tracer | None":
    """The tracer of this process; None where tracing is off. ConfigError where the extra is missing."""
    if not config.otel.enabled:
        return None
    try:
        from ticketops.backends.otel.tracing import OtelTracer  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            "otel.enabled is true, but OpenTelemetry is not installed",
            why=str(error),
            hint="pip install 'ticketops[otel]', or set otel.enabled = false",
        ) from None
    return OtelTracer(config.otel, part)

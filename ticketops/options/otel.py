"""Traces for OpenTelemetry."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from ticketops.options.types import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OtelOptions:
    """Spans of relay and workers; the trace context itself is carried on without this too."""

    enabled: bool = False
    """True: spans are made and sent; needs the extra: pip install 'ticketops[otel]'."""
    endpoint: str = "http://127.0.0.1:4318/v1/traces"
    """The collector, by OTLP over HTTP; headers stand in OTEL_EXPORTER_OTLP_HEADERS."""
    timeout: Seconds = 5.0
    """Seconds that the collector has to take spans; nothing waits for it, and what it does not take is dropped."""
    service_name: str = "ticketops"
    """service.name of the spans."""
    sample_ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0
    """Part of the traces that begin here; others are sampled as their beginning says."""

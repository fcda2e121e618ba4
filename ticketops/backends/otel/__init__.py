"""Spans for a collector of OpenTelemetry."""

"""Fixtures for all tests; they live in tests/support."""

pytest_plugins = ["support.engines", "support.cli", "support.relay", "support.smalldisk", "support.valkeys"]

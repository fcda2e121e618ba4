"""Ports in memory: for tests, and for trying things without engines."""

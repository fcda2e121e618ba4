"""Fixtures for all tests; they live in tests/support."""

pytest_plugins = [
    "support.cli",
    "support.engines",
    "support.examples",
    "support.incidents",
    "support.relay",
    "support.flow",
    "support.grpcseats",
    "support.seatservice",
    "support.smalldisk",
    "support.valkeys",
    "support.workers",
    "support.booking_works",
]

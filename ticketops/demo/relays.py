"""Relays of the demo."""

from ticketops.demo.daemons import DaemonProcess, start_daemon
from ticketops.demo.ground import Ground

LEASE_SECONDS = 2.0
"""Short, so that nobody waits long for the take-over."""


def start_relay(ground: Ground, name: str) -> DaemonProcess:
    """Start a relay on the demo's database and topics."""
    return start_daemon(ground, name, ("relay", "run"), {"relay.id": name, "relay.lease_seconds": LEASE_SECONDS})

"""Alerts: evaluated over the snapshot by one process, delivered to targets."""

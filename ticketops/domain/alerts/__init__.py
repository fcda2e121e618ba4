"""Rules over the snapshot, and what becomes of an alert: pending, firing, resolved. Pure."""

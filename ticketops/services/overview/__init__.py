"""The snapshot of everything: how it is collected, kept and shown."""

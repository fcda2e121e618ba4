"""The demo: a ticketing workload on real engines, two relays, a kill, and the proof that nothing was lost."""

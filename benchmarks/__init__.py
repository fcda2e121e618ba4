"""Benchmarks: each prints its peer or raw limit from the same run, as a ratio."""

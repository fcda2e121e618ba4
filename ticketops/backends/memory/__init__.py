"""Everything in memory, with a clock of one's own: for tests, and for trying things out."""

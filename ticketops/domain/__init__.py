"""Rules without I/O: no clock, no randomness, no logging; `now` is an argument."""

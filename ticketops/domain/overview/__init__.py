"""One snapshot of everything, and the checks that follow from it: what every front reads. Pure."""

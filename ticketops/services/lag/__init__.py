"""Looks at consumer groups, kept for a while and judged."""

"""Whom alerts are told to."""

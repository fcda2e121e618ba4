"""Names of our own headers; all values are strings."""

REDRIVE_COUNT = "x-redrive-count"
"""How often the record was put back; never reset."""
REDRIVE_OP = "x-redrive-op"
"""The operation that put it back."""
REDRIVE_OF = "x-redrive-of"
"""TOPIC/PARTITION/OFFSET of the dead letter that it was."""
REDRIVE_AT = "x-redrive-at"
"""When, RFC 3339."""
REASON = "ticketops-dead-letter-reason"
"""Why our own consumer gave the record up: invalid_data, timeout, max_retries_exceeded, …"""
ATTEMPTS = "ticketops-dead-letter-attempts"
"""How often it tried."""
FAILED_AT = "ticketops-dead-letter-failed-at"
"""When it died, RFC 3339, where the record's time is another: it was brought in from elsewhere."""

REDRIVES = frozenset({REDRIVE_COUNT, REDRIVE_OP, REDRIVE_OF, REDRIVE_AT})

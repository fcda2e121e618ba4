"""TicketOps: operate event-driven services on PostgreSQL, Kafka and Redis."""

__version__ = "0.1.0"

"""The verbs: what TicketOps does, over ports alone."""

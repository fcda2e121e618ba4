"""The verbs of `ticketops state`: moves of bookings and other machines' subjects, and what their history tells."""

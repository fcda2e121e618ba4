"""The asynchronous payment flow on real engines: bookings, a payment provider, a seat service, and what is proved."""

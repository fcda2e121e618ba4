"""The booking worker: items of the shows' queues, taken under leases, processed, tried again, dead-lettered."""

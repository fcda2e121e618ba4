"""Dead letters, in whatever queues they are: found, grouped, shown."""

"""Consumer lag: what was seen, what it means, how old it is and when it will be gone. Pure."""

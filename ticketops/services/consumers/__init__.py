"""The runner of consumers, and the workers that run on it."""

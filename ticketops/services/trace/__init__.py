"""One booking's story, put together from every source."""

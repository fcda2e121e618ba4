"""One booking's story: what every source knows, in one timeline, with what is missing called out."""

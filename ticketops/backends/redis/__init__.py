"""Redis and Valkey, behind the ports."""

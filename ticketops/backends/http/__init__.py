"""HTTP endpoints, behind the ports."""

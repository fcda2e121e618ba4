"""Services that are called over gRPC."""

"""The outbox relay: lanes that publish, a coordinator that shares shards out, a daemon around them."""

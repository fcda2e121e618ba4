"""Byte-exact codecs of what the booking worker keeps in Redis: as Go's encoding/json writes and reads it."""

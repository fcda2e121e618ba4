"""Which partition a key goes to: MurmurHash2 with Kafka's seed, as Java's default partitioner computes it.

Rules: org.apache.kafka.common.utils.Utils.murmur2 and toPositive.
"""

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_WORD = 0xFFFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition, 0 … partitions-1."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """The hash as an unsigned 32-bit number."""
    value = _SEED ^ len(data)
    whole = len(data) - len(data) % 4
    for start in range(0, whole, 4):
        word = _times(int.from_bytes(data[start : start + 4], "little"))
        value = _times(value) ^ _times(word ^ word >> 24)
    if rest := data[whole:]:
        value = _times(value ^ int.from_bytes(rest, "little"))
    value = _times(value ^ value >> 13)
    return value ^ value >> 15


def _times(value: int) -> int:
    return value * _MULTIPLIER & _WORD

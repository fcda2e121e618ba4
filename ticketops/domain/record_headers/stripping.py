"""What a requeued record keeps: everything that is not about its death, byte for byte."""

from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers.families import (
    CLOUD_ERROR,
    CLOUD_ORIGIN,
    CONNECT,
    DELIVERY_ATTEMPT,
    RETRY_TOPIC,
    SHARE_GROUP,
    SMALLRYE_NAMES,
    SPRING,
    STREAMS,
)
from ticketops.domain.record_headers.names import ATTEMPTS, FAILED_AT, REASON, REDRIVES

_PREFIXES = (
    CONNECT,
    STREAMS,
    SHARE_GROUP,
    SPRING,
    RETRY_TOPIC,
    "kafka_original-",
    "kafka_exception-",
    "kafka_key-exception-",
    "springDeserializerException",
)
_NAMES = frozenset(
    {*CLOUD_ORIGIN, *CLOUD_ERROR, *SMALLRYE_NAMES, *REDRIVES, DELIVERY_ATTEMPT, ATTEMPTS, FAILED_AT, REASON}
)


def is_error_header(name: str) -> bool:
    """True for a header that some family writes when a record dies, or that we write when it is put back."""
    return name in _NAMES or name.startswith(_PREFIXES)


def business_headers(headers: Headers) -> Headers:
    """Without every error family, in the same order; `__TypeId__` stays."""
    return tuple(header for header in headers if not is_error_header(header[0]))

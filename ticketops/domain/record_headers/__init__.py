"""Headers of dead letters in Kafka: every common family read into one form, ours written, all of them stripped.

Sources: the records that spring-kafka, Spring Cloud Stream, Kafka Connect, Kafka Streams and share groups write;
SmallRye's documentation.
"""

from ticketops.domain.header_style import HeaderStyle
from ticketops.domain.record_headers.causes import deepest_class, plain_message, stack_outline
from ticketops.domain.record_headers.model import Death, Family, Position, Source
from ticketops.domain.record_headers.reading import read_death
from ticketops.domain.record_headers.stripping import business_headers, is_error_header
from ticketops.domain.record_headers.writing import (
    FailedRecord,
    Failure,
    brought_in,
    dead_letter_headers,
    redriven,
)

__all__ = [
    "Death",
    "FailedRecord",
    "Failure",
    "Family",
    "HeaderStyle",
    "Position",
    "Source",
    "brought_in",
    "business_headers",
    "dead_letter_headers",
    "deepest_class",
    "is_error_header",
    "plain_message",
    "read_death",
    "redriven",
    "stack_outline",
]

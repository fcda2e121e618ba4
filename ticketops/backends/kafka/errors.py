"""What librdkafka's errors mean: the record's fault, or the cluster's."""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from ticketops.errors import BackendError, BackendUnavailable, DeniedError, SchemaError, TicketOpsError

BACKEND = "Kafka"

TOPIC_REFUSED = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's local codes are public under these names
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.POLICY_VIOLATION,
    }
)
"""Every record for the topic gets these; retries and the operator decide."""

RECORD_REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._INVALID_ARG,  # noqa: SLF001
    }
)
"""A broker refuses a whole request for one record's sake, so more than one record with these proves nothing."""

_UNAVAILABLE = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
UNAUTHENTICATED = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})  # noqa: SLF001
_DENIED = UNAUTHENTICATED | frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what librdkafka raises into TicketOps' errors."""
    try:
        yield
    except KafkaException as error:
        raise from_driver(error.args[0]) from error


def from_driver(error: KafkaError) -> TicketOpsError:
    """The error to raise for one that librdkafka reports."""
    code, why = error.code(), f"{error.str()} ({error.name()})"
    if code in _DENIED:
        return DeniedError(f"{BACKEND} denied the right", why=why, hint="check the user and the ACLs")
    if code in TOPIC_REFUSED:
        return SchemaError(f"{BACKEND} has no such topic", why=why, hint="create it, or correct outbox.topics")
    if code in _UNAVAILABLE or error.retriable():
        return BackendUnavailable(BACKEND, why=why, hint="check kafka.bootstrap_servers and that the brokers run")
    return BackendError(f"{BACKEND} refused a call", why=why)

"""The families of headers, one reader each: where the record was read, and why it died."""

from collections.abc import Iterator

from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers.hops import Error, Found, Origin, Values, prefixed, sets, source_of
from ticketops.domain.record_headers.model import Family
from ticketops.domain.record_headers.values import big_endian, binary, count, decimal, text

_PLACE = ("topic", "partition", "offset")
_TIMED = (*_PLACE, "timestamp", "timestamp-type")
_EXCEPTION = ("fqcn", "cause-fqcn", "message", "stacktrace")

CONNECT = "__connect.errors."
STREAMS = "__streams.errors."
SHARE_GROUP = "__dlq.errors."
SPRING = "kafka_dlt-"
SPRING_RETRY = "kafka_"
RETRY_TOPIC = "retry_topic-"
DELIVERY_ATTEMPT = "kafka_deliveryAttempt"

_CONNECT_NAMES = prefixed(
    CONNECT,
    (
        *_PLACE,
        "connector.name",
        "task.id",
        "stage",
        "class.name",
        "exception.class.name",
        "exception.message",
        "exception.stacktrace",
    ),
)
_STREAMS_NAMES = prefixed(STREAMS, ("exception", "message", "stacktrace", *_PLACE))
_SHARE_NAMES = prefixed(SHARE_GROUP, (*_PLACE, "group", "delivery.count", "message"))
SMALLRYE_NAMES = prefixed("dead-letter-", ("reason", "cause", "exception-class-name", "cause-class-name", *_PLACE))
CLOUD_ORIGIN = prefixed("x-original-", _TIMED)
CLOUD_ERROR = prefixed("x-exception-", ("fqcn", "message", "stacktrace"))
_SPRING_GROUP = "kafka_dlt-original-consumer-group"
_RETRY_GROUP = "kafka_original-consumer-group"


def origins(headers: Headers) -> Iterator[Origin]:
    """Every place that the headers name, family by family."""
    for found in sets(headers, _CONNECT_NAMES, "topic"):
        yield Origin(found.at, Family.CONNECT, source_of(found.values, decimal))
    for found in sets(headers, _STREAMS_NAMES, "exception"):
        yield Origin(found.at, Family.STREAMS, source_of(found.values, decimal))
    for found in sets(headers, _SHARE_NAMES, "topic"):
        yield Origin(found.at, Family.SHARE_GROUP, source_of(found.values, decimal))
    for found in sets(headers, SMALLRYE_NAMES, "reason"):
        yield Origin(found.at, Family.SMALLRYE, source_of(found.values, decimal))
    for found in sets(headers, CLOUD_ORIGIN, "topic"):
        yield Origin(found.at, Family.CLOUD_STREAM, source_of(found.values, binary))
    yield from _spring_origins(headers)


def _spring_origins(headers: Headers) -> Iterator[Origin]:
    """Spring's two kinds; a record of retry topics can have its group under the other kind's name."""
    retried = {**prefixed(f"{SPRING_RETRY}original-", _TIMED), _RETRY_GROUP: "group"}
    plain = {**prefixed(f"{SPRING}original-", _TIMED), _SPRING_GROUP: "group"}
    retry_sets = sets(headers, retried, "topic")
    for found in retry_sets:
        group = found.values.get("group") or _last(headers, _SPRING_GROUP)
        yield Origin(found.at, Family.SPRING_RETRY, source_of(found.values, binary, group=group))
    for found in sets(headers, plain, "topic"):
        if found.values.keys() - {"group"} or not retry_sets:
            yield Origin(found.at, Family.SPRING, source_of(found.values, binary))


def errors(headers: Headers) -> Iterator[Error]:
    """Every failure that the headers tell of, family by family."""
    for found in sets(headers, _CONNECT_NAMES, "topic"):
        yield _connect_error(found)
    for found in sets(headers, _STREAMS_NAMES, "exception"):
        yield _streams_error(found)
    for found in sets(headers, _SHARE_NAMES, "topic"):
        attempts = count(decimal(found.values.get("delivery.count")))
        message = text(found.values.get("message"))
        yield Error(at=found.at, family=Family.SHARE_GROUP, message=message, attempts=attempts)
    for found in sets(headers, SMALLRYE_NAMES, "reason"):
        yield _smallrye_error(found)
    for found in sets(headers, CLOUD_ERROR, "fqcn"):
        yield _spring_error(found, Family.CLOUD_STREAM)
    yield from _spring_errors(headers)


def _spring_errors(headers: Headers) -> Iterator[Error]:
    for prefix, family in ((SPRING, Family.SPRING), (SPRING_RETRY, Family.SPRING_RETRY)):
        for found in sets(headers, prefixed(f"{prefix}key-exception-", _EXCEPTION), "fqcn"):
            yield _spring_error(found, family, key_failed=True)
        for found in sets(headers, prefixed(f"{prefix}exception-", _EXCEPTION), "fqcn"):
            yield _spring_error(found, family)


def _connect_error(found: Found) -> Error:
    return Error(
        at=found.at,
        family=Family.CONNECT,
        wrapper=text(found.values.get("exception.class.name")),
        message=text(found.values.get("exception.message")),
        stack=text(found.values.get("exception.stacktrace")),
        key_failed=text(found.values.get("stage")) == "KEY_CONVERTER",
    )


def _streams_error(found: Found) -> Error:
    return Error(
        at=found.at,
        family=Family.STREAMS,
        wrapper=text(found.values.get("exception")),
        message=text(found.values.get("message")),
        stack=text(found.values.get("stacktrace")),
    )


def _smallrye_error(found: Found) -> Error:
    values: Values = found.values
    return Error(
        at=found.at,
        family=Family.SMALLRYE,
        wrapper=text(values.get("exception-class-name")),
        cause=text(values.get("cause-class-name")),
        message=text(values.get("reason")) or text(values.get("cause")),
    )


def _spring_error(found: Found, family: Family, *, key_failed: bool = False) -> Error:
    return Error(
        at=found.at,
        family=family,
        wrapper=text(found.values.get("fqcn")),
        cause=text(found.values.get("cause-fqcn")),
        message=text(found.values.get("message")),
        stack=text(found.values.get("stacktrace")),
        wraps=True,
        key_failed=key_failed,
    )


def spring_attempts(headers: Headers) -> int | None:
    """Attempts that were made: on the dead-letter topic the retry topics' count is one more."""
    counted = big_endian(_last(headers, f"{RETRY_TOPIC}attempts"))
    if counted is not None and counted > 0:
        return counted - 1
    return count(binary(_last(headers, DELIVERY_ATTEMPT)))


def _last(headers: Headers, wanted: str) -> bytes | None:
    return next((value for name, value in reversed(headers) if name == wanted), None)

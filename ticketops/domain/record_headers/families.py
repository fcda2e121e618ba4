"""The families of headers, one reader each: where the record was read, and why it died."""

from collections.abc import Iterator, Mapping

from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers.hops import Error, Found, Named, Origin, Values, prefixed, sets, source_of
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
_SPRING_ORIGIN = {**prefixed(f"{SPRING}original-", _TIMED), _SPRING_GROUP: "group"}
_RETRY_ORIGIN = {**prefixed(f"{SPRING_RETRY}original-", _TIMED), "kafka_original-consumer-group": "group"}
_SPRING_SETS = (
    ("spring key error", Family.SPRING, True),
    ("spring error", Family.SPRING, False),
    ("retry key error", Family.SPRING_RETRY, True),
    ("retry error", Family.SPRING_RETRY, False),
)
_KINDS = {
    "connect": _CONNECT_NAMES,
    "streams": _STREAMS_NAMES,
    "share": _SHARE_NAMES,
    "smallrye": SMALLRYE_NAMES,
    "cloud origin": CLOUD_ORIGIN,
    "cloud error": CLOUD_ERROR,
    "spring origin": _SPRING_ORIGIN,
    "retry origin": _RETRY_ORIGIN,
    "spring key error": prefixed(f"{SPRING}key-exception-", _EXCEPTION),
    "spring error": prefixed(f"{SPRING}exception-", _EXCEPTION),
    "retry key error": prefixed(f"{SPRING_RETRY}key-exception-", _EXCEPTION),
    "retry error": prefixed(f"{SPRING_RETRY}exception-", _EXCEPTION),
}
_BY_NAME = {name: (kind, short) for kind, names in _KINDS.items() for name, short in names.items()}

Parts = Mapping[str, Named]
"""The headers by kind."""


def parts_of(headers: Headers) -> Parts:
    """Each family's headers, found in one pass: a topic's index reads them by the million."""
    parts: dict[str, list[tuple[int, str, bytes | None]]] = {}
    for at, (name, value) in enumerate(headers):
        if known := _BY_NAME.get(name):
            parts.setdefault(known[0], []).append((at, known[1], value))
    return parts


def origins(parts: Parts, headers: Headers) -> Iterator[Origin]:
    """Every place that the headers name, family by family."""
    for kind, family, first in _STRING_PLACES:
        for found in sets(parts.get(kind, ()), first):
            yield Origin(found.at, family, source_of(found.values, decimal))
    for found in sets(parts.get("cloud origin", ()), "topic"):
        yield Origin(found.at, Family.CLOUD_STREAM, source_of(found.values, binary))
    yield from _spring_origins(parts, headers)


_STRING_PLACES = (
    ("connect", Family.CONNECT, "topic"),
    ("streams", Family.STREAMS, "exception"),
    ("share", Family.SHARE_GROUP, "topic"),
    ("smallrye", Family.SMALLRYE, "reason"),
)


def _spring_origins(parts: Parts, headers: Headers) -> Iterator[Origin]:
    """Spring's two kinds; a record of retry topics can have its group under the other kind's name."""
    retry_sets = sets(parts.get("retry origin", ()), "topic")
    for found in retry_sets:
        group = found.values.get("group") or _last(headers, _SPRING_GROUP)
        yield Origin(found.at, Family.SPRING_RETRY, source_of(found.values, binary, group=group))
    for found in sets(parts.get("spring origin", ()), "topic"):
        if found.values.keys() - {"group"} or not retry_sets:
            yield Origin(found.at, Family.SPRING, source_of(found.values, binary))


def errors(parts: Parts) -> Iterator[Error]:
    """Every failure that the headers tell of, family by family."""
    for found in sets(parts.get("connect", ()), "topic"):
        yield _connect_error(found)
    for found in sets(parts.get("streams", ()), "exception"):
        yield _streams_error(found)
    for found in sets(parts.get("share", ()), "topic"):
        yield _share_error(found)
    for found in sets(parts.get("smallrye", ()), "reason"):
        yield _smallrye_error(found)
    for found in sets(parts.get("cloud error", ()), "fqcn"):
        yield _spring_error(found, Family.CLOUD_STREAM)
    for kind, family, key_failed in _SPRING_SETS:
        for found in sets(parts.get(kind, ()), "fqcn"):
            yield _spring_error(found, family, key_failed=key_failed)


def _share_error(found: Found) -> Error:
    attempts = count(decimal(found.values.get("delivery.count")))
    return Error(at=found.at, family=Family.SHARE_GROUP, message=text(found.values.get("message")), attempts=attempts)


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

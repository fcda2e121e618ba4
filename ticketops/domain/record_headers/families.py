"""The families of headers, one reader each: where the record was read, and why it died."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers.hops import Error, Found, Named, Number, Origin, Values, prefixed, sets, source_of
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
    for kind, named in parts.items():
        if place := _PLACES.get(kind):
            family, first, number = place
            for found in sets(named, first):
                yield Origin(found.at, family, source_of(found.values, number))
    if "spring origin" in parts or "retry origin" in parts:
        yield from _spring_origins(parts, headers)


_PLACES: Mapping[str, tuple[Family, str, Number]] = {
    "connect": (Family.CONNECT, "topic", decimal),
    "streams": (Family.STREAMS, "exception", decimal),
    "share": (Family.SHARE_GROUP, "topic", decimal),
    "smallrye": (Family.SMALLRYE, "reason", decimal),
    "cloud origin": (Family.CLOUD_STREAM, "topic", binary),
}


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
    for kind, named in parts.items():
        if reader := _ERRORS.get(kind):
            first, read = reader
            yield from map(read, sets(named, first))


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


_ERRORS: Mapping[str, tuple[str, Callable[[Found], Error]]] = {
    "connect": ("topic", _connect_error),
    "streams": ("exception", _streams_error),
    "share": ("topic", _share_error),
    "smallrye": ("reason", _smallrye_error),
    "cloud error": ("fqcn", partial(_spring_error, family=Family.CLOUD_STREAM)),
    **{
        kind: ("fqcn", partial(_spring_error, family=family, key_failed=key_failed))
        for kind, family, key_failed in _SPRING_SETS
    },
}


def spring_attempts(headers: Headers) -> int | None:
    """Attempts that were made: on the dead-letter topic the retry topics' count is one more."""
    counted = big_endian(_last(headers, f"{RETRY_TOPIC}attempts"))
    if counted is not None and counted > 0:
        return counted - 1
    return count(binary(_last(headers, DELIVERY_ATTEMPT)))


def _last(headers: Headers, wanted: str) -> bytes | None:
    return next((value for name, value in reversed(headers) if name == wanted), None)

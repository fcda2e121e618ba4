"""All families together: the first place is the origin, the last failure is the present one."""

from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers.causes import deepest_class, plain_message
from ticketops.domain.record_headers.families import errors, origins, parts_of, spring_attempts
from ticketops.domain.record_headers.hops import Error, Origin
from ticketops.domain.record_headers.model import Death, Family, Position, Source
from ticketops.domain.record_headers.names import ATTEMPTS, FAILED_AT, REASON, REDRIVE_COUNT, REDRIVE_OF, REDRIVE_OP
from ticketops.domain.record_headers.values import digits, text, written_time

_INVALID = ("DeserializationException", "SerializationException", "MessageConversionException", "DataException")
_MOST_REDRIVES = 1_000_000


def read_death(headers: Headers) -> Death:
    """What the headers of a dead letter say; hostile ones make fields empty, never an error."""
    parts = parts_of(headers)
    places = sorted(origins(parts, headers), key=lambda origin: origin.at)
    failures = sorted(errors(parts), key=lambda error: (error.at, not error.key_failed))
    error = _present(failures)
    ours = {name: value for name, value in headers if name in _OURS}
    error_class = grouping_class(error)
    return Death(
        family=error.family if failures else (places[-1].family if places else Family.UNKNOWN),
        origin=_first(places),
        last=places[-1].source if places else Source(),
        error_class=error_class,
        wrapper=error.wrapper,
        message=plain_message(error.message),
        stack=error.stack,
        attempts=_attempts(headers, error, ours.get(ATTEMPTS)),
        reason=text(ours.get(REASON)) or _reason(error, error_class),
        failed_at=written_time(text(ours.get(FAILED_AT))),
        key_failed=error.key_failed,
        redrives=min(digits(ours.get(REDRIVE_COUNT)) or 0, _MOST_REDRIVES),
        redriven_by=text(ours.get(REDRIVE_OP)),
        redriven_from=Position.parse(text(ours.get(REDRIVE_OF))),
    )


_OURS = frozenset({ATTEMPTS, FAILED_AT, REASON, REDRIVE_COUNT, REDRIVE_OF, REDRIVE_OP})


def grouping_class(error: Error) -> str:
    """The deepest cause of the stack, else the cause, else the class where it is no wrapper."""
    return deepest_class(error.stack) or error.cause or ("" if error.wraps else error.wrapper)


def _present(failures: list[Error]) -> Error:
    """The last one; where key and value failed together, the value's."""
    if not failures:
        return Error(at=0, family=Family.UNKNOWN)
    last = failures[-1]
    if last.key_failed:
        plain = [error for error in failures if error.family is last.family and not error.key_failed]
        return plain[-1] if plain else last
    return last


def _first(places: list[Origin]) -> Source:
    """The first that says all; else the first that names a topic."""
    complete = (origin.source for origin in places if origin.source.position)
    named = (origin.source for origin in places if origin.source.topic)
    return next(complete, None) or next(named, None) or Source()


def _attempts(headers: Headers, error: Error, ours: bytes | None) -> int | None:
    if (written := digits(ours)) is not None:
        return written
    return error.attempts if error.attempts is not None else spring_attempts(headers)


def _reason(error: Error, error_class: str) -> str:
    """What the class tells, in the words of our own consumers; empty where it tells nothing."""
    classes = (error.wrapper, error.cause, error_class)
    if error.key_failed or any(name.endswith(_INVALID) for name in classes):
        return "invalid_data"
    if any(name.endswith(("TimeoutException", "TimeoutError")) for name in classes):
        return "timeout"
    return ""

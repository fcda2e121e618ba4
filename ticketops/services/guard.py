"""The guards that stand before every change."""

from ticketops.errors import DeniedError


def require_writable(context: str, read_only: bool, action: str) -> None:
    """DeniedError where the context is read-only; `action` says what would have been done, as in `retry events`."""
    if read_only:
        raise DeniedError(
            f"cannot {action}",
            why=f"the context {context} is read-only",
            hint="use another --context, or set read_only = false in the configuration file",
        )

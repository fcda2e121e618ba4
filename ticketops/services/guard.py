"""The guards that stand before every change."""

from dataclasses import dataclass

from ticketops.errors import DeniedError


@dataclass(frozen=True, slots=True)
class Access:
    """What the configuration lets a caller do."""

    context: str
    """The context's name, for the refusal."""
    read_only: bool


def require_writable(access: Access, action: str) -> None:
    """DeniedError where the context is read-only; `action` is the command that would have made the change."""
    if access.read_only:
        raise DeniedError(
            f"{action} is refused",
            why=f"the context {access.context} is read-only",
            hint="use another --context, or set read_only = false in the configuration file",
        )

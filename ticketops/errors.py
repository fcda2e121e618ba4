"""Every error that TicketOps raises on purpose.

TicketOpsError
├── UsageError                a command's words or options contradict each other
│   ├── ConfigError           a configuration file, variable or flag cannot be used
│   └── ExpressionError       a --where that cannot be understood
├── InvalidEvent              an outbox event that the contract does not allow
├── WireError                 bytes that the booking worker's decoder refuses
├── NotFoundError             what was named does not exist
├── DeniedError               the context is read-only, or the backend denied the right
├── RefusedError              a guard said no: no confirmation, a cap reached
├── InterruptedByUser         Ctrl-C or a declined prompt ended the command
├── BackendUnavailable        no answer from a backend; transient, try again later
│   └── StatementCancelled    a backend ended a statement before it was done; transient
├── BackendError              a backend answered with an error
│   ├── SchemaError           a table, column, index or topic is missing or of another type
│   ├── LockTimeout           a lock was not free in time; transient
│   ├── BackendFull           it has no memory or disk for a write; transient
│   └── DataError             a value that a backend refuses
├── InvalidRecord             a consumed record that can never be handled as it is
├── WorkerReplaced            another process works under this worker's name
├── ServiceError              a service that a worker calls
│   ├── ServiceRefused        it says no for good
│   └── ServiceFailed         it failed and may succeed later; transient
│       ├── ServiceTimeout    it gave no answer in time
│       └── CircuitOpen       it failed too often and is given a rest
└── RelayError                a rule of the relay
    ├── RelayIdTaken          another live process has this relay id
    ├── ShardCountMismatch    the database was set up with another number of shards
    ├── LeaseLost             a shard belongs to another relay now; transient
    └── PublisherBroken       the producer must be replaced before the next batch; transient
"""

from typing import ClassVar


class TicketOpsError(Exception):
    """What went wrong, why, and what to try next."""

    transient: ClassVar[bool] = False
    """True where the same call may succeed later without a change by anyone."""
    excerpt: str = ""
    """What was read, with a mark under the place that is meant; in lines."""

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}: {self.why}" if self.why else self.what


class UsageError(TicketOpsError):
    """A command's words or options contradict each other."""


class ConfigError(UsageError):
    """A configuration file, variable or flag cannot be used."""


class ExpressionError(UsageError):
    """A `--where` that cannot be understood."""

    def __init__(self, what: str, *, why: str = "", hint: str = "", excerpt: str = "") -> None:
        super().__init__(what, why=why, hint=hint)
        self.excerpt = excerpt


class InvalidEvent(TicketOpsError):
    """An outbox event that the contract does not allow."""


class WireError(TicketOpsError):
    """Bytes that the booking worker's decoder refuses, or a value that its encoder cannot write."""


class NotFoundError(TicketOpsError):
    """What was named does not exist."""


class DeniedError(TicketOpsError):
    """The context is read-only, or the backend denied the right."""


class RefusedError(TicketOpsError):
    """A guard said no: no confirmation was given, or a cap is reached."""


class InterruptedByUser(TicketOpsError):
    """Ctrl-C, or a declined prompt, ended the command."""


class BackendUnavailable(TicketOpsError):
    """No answer from a backend."""

    transient = True

    def __init__(self, backend: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(f"{backend} is unreachable", why=why, hint=hint)
        self.backend = backend


class StatementCancelled(BackendUnavailable):
    """A backend ended a statement before it was done: it took longer than it may, or somebody cancelled it."""

    def __init__(self, backend: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(backend, why=why, hint=hint)
        self.what = f"{backend} did not finish a statement"


class BackendError(TicketOpsError):
    """A backend answered with an error."""


class SchemaError(BackendError):
    """A table, column, index or topic is missing or of another type."""


class LockTimeout(BackendError):
    """A lock was not free in time."""

    transient = True


class BackendFull(BackendError):
    """A backend has no memory or disk for a write; nothing was changed."""

    transient = True


class DataError(BackendError):
    """A value that a backend refuses."""


class InvalidRecord(TicketOpsError):
    """A consumed record that can never be handled as it is."""


class WorkerReplaced(TicketOpsError):
    """Another process works under this worker's name."""


class ServiceError(TicketOpsError):
    """A service that a worker calls did not do what it was asked for."""


class ServiceRefused(ServiceError):
    """It says no for good."""


class ServiceFailed(ServiceError):
    """It failed and may succeed later."""

    transient = True


class ServiceTimeout(ServiceFailed):
    """It gave no answer in time."""


class CircuitOpen(ServiceFailed):
    """It failed too often and is given a rest; it was not called."""

    def __init__(self, service: str, retry_in: float) -> None:
        super().__init__(f"{service} is given a rest", why=f"it failed too often; tried again in {retry_in:.0f} s")
        self.retry_in = retry_in
        """Seconds."""


class RelayError(TicketOpsError):
    """A rule of the relay."""


class RelayIdTaken(RelayError):
    """Another live process has this relay id."""


class ShardCountMismatch(RelayError):
    """The database was set up with another number of shards."""


class LeaseLost(RelayError):
    """A shard belongs to another relay now."""

    transient = True


class PublisherBroken(RelayError):
    """The producer must be replaced before the next batch."""

    transient = True

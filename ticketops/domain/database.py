"""What `db status` finds and what `db upgrade` plans: data without a database."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How one item of the database stands."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    INFO = "info"
    """Nothing to judge; good to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One item of the database, for `db status`."""

    item: str
    verdict: Verdict
    found: str
    """What is there, in words."""
    cost: str = ""
    """What it costs that the item is missing or wrong."""
    next: str = ""
    """The command to run next; empty where there is none."""
    required: bool = True
    """The relay cannot work without it."""

    @property
    def blocking(self) -> bool:
        """True where the relay cannot work because of this."""
        return self.required and self.verdict in {Verdict.MISSING, Verdict.WRONG}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeRequest:
    """Which changes to tables that are not TicketOps' own were asked for."""

    add_seq: bool = False
    add_index: bool = False
    add_trigger: bool = False
    tune_autovacuum: bool = False
    add_state_indexes: bool = False
    create_outbox: bool = False
    """Create the outbox table alone, in a schema that holds other tables already."""

    @classmethod
    def everything(cls) -> "UpgradeRequest":
        """What `--all` means: every change to a table that is there; no table is made."""
        return cls(add_seq=True, add_index=True, add_trigger=True, tune_autovacuum=True, add_state_indexes=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change to the database."""

    name: str
    title: str
    statements: tuple[str, ...]
    """Complete SQL, without the semicolon at the end."""
    lock: str
    """The strongest lock it takes on a table that others use."""
    cost: str
    """What it costs while it runs."""
    transactional: bool = True
    """False: every statement runs by itself, and what was done stays when a later one fails."""
    waits_for_locks: bool = False
    """True: lock_timeout does not apply, because its wait blocks nobody who writes."""


def script(steps: Sequence[Step], lock_timeout: float) -> str:
    """The steps as SQL for psql; `lock_timeout` in seconds."""
    return "\n".join(_script_of(step, lock_timeout) for step in steps)


def timeout_sql(step: Step, lock_timeout: float) -> str:
    """The statement that bounds a step's wait for locks; `lock_timeout` in seconds."""
    milliseconds = 0 if step.waits_for_locks else max(round(lock_timeout * 1000), 1)
    return f"SET {'LOCAL ' if step.transactional else ''}lock_timeout = {milliseconds}"


def _script_of(step: Step, lock_timeout: float) -> str:
    head = [f"-- {step.name}: {step.title}", f"-- lock: {step.lock}", f"-- cost: {step.cost}"]
    body = [timeout_sql(step, lock_timeout), *step.statements]
    if step.transactional:
        body = ["BEGIN", *body, "COMMIT"]
    return "\n".join([*head, *(f"{statement};" for statement in body), ""])

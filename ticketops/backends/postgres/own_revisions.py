"""The revisions of TicketOps' own schema, as SQL; alembic keeps their order and the version table."""

import io
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from ticketops.backends.postgres.naming import quoted
from ticketops.errors import SchemaError

VERSION_TABLE = "alembic_version"
_VERSIONS = Path(__file__).parent / "migrations"


def head() -> str:
    """The newest revision."""
    return _scripts(Config()).get_current_head() or ""


def pending_sql(own_schema: str, current: str | None) -> tuple[str, ...]:
    """The statements that bring `own_schema` from revision `current` (None: nothing there) to the newest.

    Raises SchemaError where a newer TicketOps made the schema.
    """
    config = Config()
    scripts = _scripts(config)
    if current == scripts.get_current_head():
        return ()
    check_known(own_schema, current)
    text = _offline(config, scripts, own_schema, current)
    return (f"CREATE SCHEMA IF NOT EXISTS {quoted(own_schema)}", *_statements(text))


def check_known(own_schema: str, current: str | None) -> None:
    """Raise SchemaError unless this version of TicketOps knows revision `current`."""
    known = {script.revision for script in _scripts(Config()).walk_revisions()}
    if current is not None and current not in known:
        raise SchemaError(
            f"schema {own_schema} is at revision {current}, which this TicketOps does not know",
            why=f"it knows revisions up to {head()}; a newer TicketOps made it",
            hint="use that version of TicketOps, or a newer one",
        )


def _scripts(config: Config) -> ScriptDirectory:
    config.set_main_option("script_location", str(_VERSIONS).replace("%", "%%"))
    return ScriptDirectory.from_config(config)


def _offline(config: Config, scripts: ScriptDirectory, own_schema: str, current: str | None) -> str:
    output = io.StringIO()
    context = EnvironmentContext(
        config,
        scripts,
        fn=lambda revision, _: scripts._upgrade_revs("head", revision),  # noqa: SLF001 - what `alembic upgrade` passes; it has no public name
        as_sql=True,
        starting_rev=current,
        destination_rev="head",
    )
    with context:
        context.configure(
            dialect_name="postgresql",
            dialect_opts={"paramstyle": "named"},
            output_buffer=output,
            version_table=VERSION_TABLE,
            version_table_schema=own_schema,
            own_schema=own_schema,
        )
        context.run_migrations()
    return output.getvalue()


def _statements(text: str) -> list[str]:
    """Alembic ends a statement with `;` and an empty line, which no statement of a revision holds itself."""
    parts = (_without_comments(part) for part in text.split(";\n\n"))
    return [part for part in parts if part]


def _without_comments(part: str) -> str:
    return "\n".join(line for line in part.splitlines() if not line.startswith("--")).strip()

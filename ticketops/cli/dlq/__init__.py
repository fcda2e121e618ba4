"""`ticketops dlq`: dead letters of every queue, found, grouped and shown."""

import typer

from ticketops.cli.dlq.listing import list_

app = typer.Typer(no_args_is_help=True)
app.command("list")(list_)

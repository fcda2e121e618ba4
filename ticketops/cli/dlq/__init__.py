"""`ticketops dlq`: dead letters of every queue, found, grouped and shown."""

import typer

from ticketops.cli.dlq import verbs
from ticketops.cli.dlq.listing import list_
from ticketops.cli.dlq.stats import stats

app = typer.Typer(no_args_is_help=True)
app.command()(stats)
app.command("list")(list_)
app.command()(verbs.requeue)
app.command()(verbs.hold)
app.command()(verbs.release)
app.command()(verbs.discard)
app.command()(verbs.restore)
app.command()(verbs.purge)

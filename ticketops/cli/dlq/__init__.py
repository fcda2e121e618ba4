"""`ticketops dlq`: dead letters of every queue, found, grouped and shown, and put back."""

import typer

from ticketops.cli.dlq import verbs
from ticketops.cli.dlq.cleaning import cleanup
from ticketops.cli.dlq.doctor import doctor
from ticketops.cli.dlq.editing import edit
from ticketops.cli.dlq.export import export
from ticketops.cli.dlq.importing import import_
from ticketops.cli.dlq.listing import list_
from ticketops.cli.dlq.show import show
from ticketops.cli.dlq.stats import stats

app = typer.Typer(no_args_is_help=True)
app.command()(stats)
app.command("list")(list_)
app.command()(show)
app.command()(verbs.requeue)
app.command()(edit)
app.command()(verbs.hold)
app.command()(verbs.release)
app.command()(verbs.discard)
app.command()(verbs.restore)
app.command()(verbs.purge)
app.command()(export)
app.command("import")(import_)
app.command()(cleanup)
app.command()(doctor)

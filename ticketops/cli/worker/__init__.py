"""`ticketops worker`: the daemons that handle events, and their pauses."""

import typer

from ticketops.cli.worker import bookings, pauses, running

app = typer.Typer(no_args_is_help=True)
app.command()(running.payments)
app.command()(running.emails)
app.command()(bookings.bookings)
app.command()(pauses.pause)
app.command()(pauses.resume)
app.command()(pauses.status)

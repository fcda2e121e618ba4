"""`ticketops state`: where bookings are, how they came there, and moving them by hand."""

import typer

from ticketops.cli.state import changing, looking

app = typer.Typer(no_args_is_help=True)


@app.callback()
def state() -> None:
    """Look at bookings and other state machines, and move them."""


app.command()(looking.history)
app.command()(looking.show)
app.command()(changing.fire)
app.command()(looking.stuck)
app.command()(looking.stats)
app.command()(looking.verify)
app.command()(changing.expire)
app.command()(looking.diagram)

"""`ticketops payments`: payment events by hand, for operators and tests."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from ticketops.cli.frame import invocation
from ticketops.errors import UsageError

if TYPE_CHECKING:
    from ticketops.services.payments import PaymentPlan

app = typer.Typer(no_args_is_help=True)

_KINDS = ("authorized", "captured", "failed", "refunded")


@app.callback()
def payments() -> None:
    """Write payment events through the outbox."""


@app.command()
def publish(  # noqa: PLR0913 - one argument per option
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="TYPE", help=f"{', '.join(_KINDS)}; PAYMENT_FAILED means the same.")],
    booking: Annotated[str, typer.Argument(metavar="BOOKING", help="Booking id, reference or payment id.")],
    *,
    payment: Annotated[
        str | None, typer.Option("--payment", metavar="ID", help="Payment id; the booking's own where none is given.")
    ] = None,
    failure_reason: Annotated[
        str | None, typer.Option("--failure-reason", metavar="TEXT", help="Why it failed; of `failed` alone.")
    ] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Write it though there is no such booking, for tests.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    reason_text: Annotated[str, typer.Option("--reason-text", help="Why; kept in the audit log.")] = "",
) -> None:
    """Write a payment event as the payment service would: through the outbox, to payment-events."""
    from ticketops.domain.payments import PaymentEventType  # noqa: PLC0415 - `--help` must not pay for it
    from ticketops.wiring.transitions import open_payment_desk  # noqa: PLC0415

    inv = invocation(ctx)
    word = kind.upper().removeprefix("PAYMENT_")
    if word.lower() not in _KINDS:
        raise UsageError(f"{kind} is no payment event", hint=f"write one of {', '.join(_KINDS)}")
    with closing(open_payment_desk(inv.config)) as desk:
        plan = desk.plan(
            PaymentEventType[word],
            booking,
            payment_id=payment,
            failure_reason=failure_reason,
            unchecked=unchecked,
        )
        inv.confirm(plan.lines, yes=yes, dry_run=dry_run)
        desk.publish(plan, reason_text)
    inv.out.record("payment_event", _record(plan))
    inv.out.note(f"the relay publishes it; follow it with: ticketops outbox show {plan.event.id}")


def _record(plan: "PaymentPlan") -> dict[str, object]:
    event = plan.event
    return {
        "id": event.id,
        "type": event.event_type,
        "payment_id": plan.payment_id,
        "booking_id": event.aggregate_id,
        "payload": event.payload_text(),
    }

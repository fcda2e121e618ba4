"""`ticketops state expire --daemon`: one process of those that keep a machine in order."""

from ticketops.cli.daemons import exposed, run_loop, take_signals
from ticketops.cli.frame import Invocation
from ticketops.cli.process import configure_logs
from ticketops.errors import DeniedError, TicketOpsError
from ticketops.services.exposition import Health, Probes
from ticketops.services.loop import Loop
from ticketops.services.transitions.metrics import TransitionMetrics
from ticketops.wiring.transitions import open_state_maintenance


class _Health:
    """What the loop last told of itself."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self._trouble: TicketOpsError | None = None

    def note(self, error: TicketOpsError | None) -> None:
        self._trouble = error

    def live(self) -> Health:
        return Health(not self.failures, "ended by an error" if self.failures else "alive")

    def ready(self) -> Health:
        return Health(not (self.failures or self._trouble), str(self._trouble) if self._trouble else "ready")


def run(inv: Invocation, machine: str) -> int:
    """Run until a signal asks for the end. DeniedError in a read-only context."""
    config, health, metrics = inv.config, _Health(), TransitionMetrics()
    if config.read_only:
        raise DeniedError("state expire --daemon is refused", why=f"the context {config.context} is read-only")
    configure_logs(config.log, inv.settings.secrets)
    stopping = take_signals(config.log)
    maintenance = open_state_maintenance(config, machine, metrics, stopping.is_set)
    loop = Loop(
        "state", maintenance.step, on_error=health.note, on_fatal=health.failures.append, at_end=maintenance.close
    )
    with exposed(config.http, Probes(health.live, health.ready, metrics.exposition)):
        return run_loop(loop, health.failures, stopping, config.relay.stop_timeout)

"""`ticketops state expire --daemon`: one process of those that keep a machine in order."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from ticketops.cli.exits import ExitCode
from ticketops.cli.frame import Invocation
from ticketops.cli.process import Signals, Systemd, configure_logs, host, logs_json
from ticketops.errors import DeniedError, TicketOpsError
from ticketops.services.exposition import Exposition, Health, Probes
from ticketops.services.loop import Loop
from ticketops.services.transitions.metrics import TransitionMetrics
from ticketops.wiring.transitions import open_state_maintenance

if TYPE_CHECKING:
    from ticketops.config import Config


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
    signals = Signals(as_json=logs_json(config.log))
    maintenance = open_state_maintenance(config, machine, metrics, signals.stopping.is_set)
    signals.install()
    loop = Loop(
        "state", maintenance.step, on_error=health.note, on_fatal=health.failures.append, at_end=maintenance.close
    )
    stop_http = _serve(config, metrics, health)
    try:
        loop.start()
        over = signals.stopping.wait
        host(lambda tick: bool(over(tick) or health.failures), lambda: health.live().ok, signals.stopping, Systemd())
        loop.stop()
        clean = loop.join(config.relay.stop_timeout)
    finally:
        stop_http()
    if health.failures:
        raise health.failures[0]
    return ExitCode.DONE if clean else ExitCode.PARTLY


def _serve(config: "Config", metrics: TransitionMetrics, health: _Health) -> Callable[[], None]:
    """Open the HTTP port; answers what closes it."""
    if not config.http.enabled:
        return lambda: None
    server = Exposition(config.http, Probes(health.live, health.ready, metrics.exposition))
    server.start()
    structlog.get_logger("ticketops").info("answers /livez, /readyz and /metrics", part="http", address=server.address)
    return server.stop

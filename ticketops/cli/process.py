"""What a daemon is to the system around it: signals, logs, systemd."""

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from types import FrameType
from typing import TYPE_CHECKING

from ticketops.cli.streams import say
from ticketops.config.redact import redacting_processor
from ticketops.domain.text import terminal_safe
from ticketops.options import LogOptions

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

_TICK = 0.5
_SWITCH_INTERVAL = 0.0005
"""Seconds."""
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def hand_over_quickly() -> None:
    """Let threads that come back from a driver wait for the interpreter a tenth as long as by default.

    Lanes take turns between computing and waiting, and every acknowledgement of a record asks for the interpreter:
    with the default of 5 ms they waited for each other most of the time.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)


class Signals:
    """SIGTERM and SIGINT: the first asks for a graceful stop, the second ends the process at once."""

    def __init__(self, *, as_json: bool = False) -> None:
        """`as_json`: what is said of a signal is a line of JSON, as the log is."""
        self._as_json = as_json
        self.stopping = threading.Event()
        self.received: int | None = None
        """The signal that asked for the stop."""

    def install(self) -> None:
        """Take over both signals; from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.received is not None:
            self._say("second signal: ending at once; what was in flight is repeated by the next process")
            os._exit(128 + number)
        self.received = number
        self.stopping.set()
        self._say("stopping: finishing what is in flight; a second signal ends at once")

    def _say(self, text: str) -> None:
        """Past the logging module, whose lock the interrupted thread may hold."""
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = json.dumps({"event": text, "level": "info", "timestamp": at}) if self._as_json else text
        say(f"{line}\n".encode())


class Systemd:
    """sd_notify(3): readiness, status and the watchdog; silent where systemd did not start the process."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        watchdog = os.environ.get("WATCHDOG_USEC", "")
        self._every = int(watchdog) / 2_000_000 if watchdog.isdigit() and int(watchdog) else 0.0
        self._due = 0.0

    def tell(self, state: str) -> None:
        """Send a state such as READY=1."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            try:
                notify.sendto(state.encode(), address)
            except OSError as error:
                logging.getLogger("ticketops").warning("systemd could not be told %s: %s", state, error)

    def pat(self, *, healthy: bool) -> None:
        """Reset the watchdog in time, while the daemon is healthy."""
        now = time.monotonic()
        if self._every and healthy and now >= self._due:
            self._due = now + self._every
            self.tell("WATCHDOG=1")


def host(
    ended: Callable[[float], bool], healthy: Callable[[], bool], stopping: threading.Event, systemd: Systemd
) -> None:
    """Wait in the main thread until the daemon has ended or a signal asks for it."""
    systemd.tell("READY=1")
    while not stopping.is_set():
        systemd.pat(healthy=healthy())
        if ended(_TICK):
            break
    systemd.tell("STOPPING=1")


def logs_json(options: LogOptions) -> bool:
    """True where each line of the log is an object of JSON."""
    return options.format == "json" or (options.format == "auto" and not sys.stderr.isatty())


def configure_logs(options: LogOptions, secrets: Collection[str]) -> None:
    """Structlog on stderr; the drivers' own loggers go the same way, and secrets are cut out of everything."""
    import structlog  # noqa: PLC0415 - only daemons log

    as_json = logs_json(options)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%SZ", utc=True),
        structlog.processors.format_exc_info,
        redacting_processor(secrets),
        *([] if as_json else [_for_terminal]),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(as_json=as_json)]
    _to_stderr(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last), options.level)


def _renderer(*, as_json: bool) -> "Processor":
    import structlog  # noqa: PLC0415 - only daemons log

    if as_json:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        0,  # columns that the event is filled up to; the argument's name depends on the version
        colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
        pad_level=False,
        sort_keys=False,
        exception_formatter=structlog.dev.plain_traceback,
    )


def _to_stderr(formatter: logging.Formatter, level: str) -> None:
    logging.raiseExceptions = False  # a log on a full disk: lines are lost, no traceback is printed for each
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LEVELS[level])
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else a line for each call, with its address
    logging.getLogger("ticketops.kafka").setLevel(logging.DEBUG if level == "debug" else logging.CRITICAL + 1)


def _for_terminal(_: object, __: str, event: "EventDict") -> "EventDict":
    """Foreign text in a log line cannot steer the terminal that shows it."""
    return {key: terminal_safe(value) if isinstance(value, str) else value for key, value in event.items()}

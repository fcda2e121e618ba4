"""Alerts, put together."""

import os
import random
import socket
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ticketops.errors import ConfigError

if TYPE_CHECKING:
    from ticketops.config import Config
    from ticketops.options import TargetOptions
    from ticketops.ports.alerts import AlertStore
    from ticketops.services.alerts.delivery import Delivery, Target
    from ticketops.services.alerts.evaluator import Evaluator


def open_alert_store(config: "Config") -> "AlertStore":
    """Where alerts are kept, for one thread: beside operations."""
    from ticketops.backends.store.alerts import SqlAlertStore  # noqa: PLC0415 - loads SQLAlchemy
    from ticketops.wiring.store import open_place  # noqa: PLC0415

    return SqlAlertStore(open_place(config))


def open_target(config: "Config", name: str) -> "Target":
    """A target by its name; ConfigError where it cannot be made, or its file cannot be read."""
    from ticketops.backends.notify.targets import open_target as opened  # noqa: PLC0415 - loads an HTTP client

    repeat = timedelta(hours=config.alerts.repeat_hours)
    return opened(name, _url(name, config.alerts.targets[name]), repeat)


def open_evaluator(config: "Config", store: "AlertStore") -> "Evaluator":
    """The evaluator of this process; ExpressionError where a rule is no condition."""
    from ticketops.services.alerts.evaluator import Evaluator  # noqa: PLC0415

    return Evaluator(store, config.alerts, f"{socket.gethostname()}:{os.getpid()}")


def open_delivery(config: "Config", store: "AlertStore") -> "Delivery":
    """What takes messages to their targets."""
    from ticketops.services.alerts.delivery import Delivery  # noqa: PLC0415

    targets = {name: open_target(config, name) for name in config.alerts.targets}
    return Delivery(store, targets, config.alerts, random.random)


def _url(name: str, options: "TargetOptions") -> str:
    if not options.url_file:
        return options.url
    try:
        return Path(options.url_file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"alerts.targets.{name}.url_file cannot be read",
            why=getattr(error, "strerror", None) or "it is not UTF-8 text",
            hint="write the URL, and nothing else, into it",
        ) from None

"""Targets of alerts: whatever Apprise reaches, and Prometheus' Alertmanager."""

import json
import logging
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from ticketops.domain.alerts.lifecycle import Message, Notice
from ticketops.errors import BackendError, BackendUnavailable, ConfigError

_MARGIN: Final = timedelta(hours=1)
"""By how much a reminder may be late."""
_NEVER: Final = timedelta(days=30)
"""How long an alert lasts of which nobody is reminded."""


def open_target(name: str, url: str, repeat: timedelta) -> "AppriseTarget | AlertmanagerTarget":
    """The target of a URL; ConfigError where nothing can be made of it. The URL is secret and never shown.

    `repeat`: the time between two reminders; zero: there are none.
    """
    if url.startswith(("alertmanager://", "alertmanagers://")):
        return AlertmanagerTarget(url, repeat + _MARGIN if repeat else _NEVER)
    return AppriseTarget(name, url)


class AppriseTarget:
    """Implements delivery.Target by Apprise."""

    def __init__(self, name: str, url: str) -> None:
        import apprise  # noqa: PLC0415 - takes a third of a second

        logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines can hold the URL
        self._name = name
        self._apprise = apprise.Apprise()
        if not url or not self._apprise.add(url):
            raise ConfigError(
                f"alerts.targets.{name}.url is no URL that Apprise knows",
                hint="its documentation lists them: slack://, pagerduty://, mailto://, json:// and many more",
            )

    def send(self, message: Message, timeout: float) -> None:
        """See delivery.Target."""
        import apprise  # noqa: PLC0415

        for server in self._apprise:
            server.socket_connect_timeout = server.socket_read_timeout = timeout
        kinds = {"critical": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}
        resolved = message.notice is Notice.RESOLVED
        kind = apprise.NotifyType.SUCCESS if resolved else kinds.get(message.severity, apprise.NotifyType.INFO)
        if not self._apprise.notify(title=title(message), body=body(message), notify_type=kind):
            raise BackendUnavailable(f"target {self._name}", why="it did not take the message")


class AlertmanagerTarget:
    """Implements delivery.Target by the Alertmanager's API, version 2."""

    def __init__(self, url: str, lasting: timedelta) -> None:
        """`lasting`: after it the Alertmanager takes an alert for resolved that it hears nothing more of."""
        self._lasting = lasting
        parts = urlsplit(url)
        scheme = "https" if parts.scheme.endswith("s") else "http"
        path = parts.path.rstrip("/") + "/api/v2/alerts"
        self._url = urlunsplit((scheme, parts.netloc, path, "", ""))

    def send(self, message: Message, timeout: float) -> None:
        """See delivery.Target."""
        ends = message.at if message.notice is Notice.RESOLVED else message.at + self._lasting
        alert = {
            "labels": {
                **dict(message.labels),
                "alertname": message.rule,
                "severity": message.severity,
                "subject": message.subject,
                "source": "ticketops",
            },
            "annotations": {"summary": message.text},
            "startsAt": message.since.isoformat(),
            "endsAt": ends.isoformat(),
        }
        try:
            answer = httpx.post(
                self._url,
                content=json.dumps([alert]),
                headers={"Content-Type": "application/json"},
                timeout=timeout,
            )
        except httpx.HTTPError as error:
            raise BackendUnavailable("the Alertmanager", why=type(error).__name__) from None
        if answer.is_error:
            raise BackendError("the Alertmanager refused the alert", why=f"HTTP {answer.status_code}")


def title(message: Message) -> str:
    """One line: what happened, how urgent, which rule."""
    words = {Notice.FIRED: message.severity.upper(), Notice.REMINDED: f"still {message.severity.upper()}"}
    return f"[{words.get(message.notice, 'RESOLVED')}] {message.rule}: {message.subject}"


def body(message: Message) -> str:
    """What it says, and since when."""
    return f"{message.text}\nsince {message.since:%Y-%m-%d %H:%M:%SZ}"

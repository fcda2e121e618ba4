"""Frozen options: what every part can be told, with its unit, its default and what None or 0 means.

The docstring under a field is what `config.example.toml` says of it; `repr=False` marks what is, or may hold, a secret.
"""

from ticketops.options.alerts import AlertsOptions, RuleOptions, TargetOptions
from ticketops.options.backends import KafkaOptions, PostgresOptions
from ticketops.options.daemons import HttpOptions, LogOptions, RelayOptions
from ticketops.options.dlq import DlqOptions, QueueOptions
from ticketops.options.lag import LagOptions
from ticketops.options.machines import HistoryColumns, MachineOptions, Places, StateOptions, SubjectColumns
from ticketops.options.otel import OtelOptions
from ticketops.options.outbox import OutboxColumns, OutboxOptions
from ticketops.options.redis import RedisOptions, RedisQueueOptions, RedisTlsOptions
from ticketops.options.tui import TuiOptions
from ticketops.options.workers import BookingsOptions, EmailsOptions, PaymentsOptions, WorkerOptions

__all__ = [
    "AlertsOptions",
    "BookingsOptions",
    "DlqOptions",
    "EmailsOptions",
    "HistoryColumns",
    "HttpOptions",
    "KafkaOptions",
    "LagOptions",
    "LogOptions",
    "MachineOptions",
    "OtelOptions",
    "OutboxColumns",
    "OutboxOptions",
    "PaymentsOptions",
    "Places",
    "PostgresOptions",
    "QueueOptions",
    "RedisOptions",
    "RedisQueueOptions",
    "RedisTlsOptions",
    "RelayOptions",
    "RuleOptions",
    "StateOptions",
    "SubjectColumns",
    "TargetOptions",
    "TuiOptions",
    "WorkerOptions",
]

"""The Kafka cluster's part of a snapshot."""

from typing import Final

from confluent_kafka.admin import AdminClient

from ticketops.backends.kafka.errors import translated
from ticketops.backends.kafka.settings import client_settings
from ticketops.domain.overview.snapshot import BackendFigures
from ticketops.options import KafkaOptions

_QUIET: Final = {"socket.connection.setup.timeout.ms": 3000, "reconnect.backoff.max.ms": 1000, "log_level": 0}


class KafkaFigures:
    """Answers about one cluster. One instance serves one thread."""

    def __init__(self, options: KafkaOptions) -> None:
        self._settings = {**_QUIET, **client_settings(options, "ticketops-status")}
        self._admin: AdminClient | None = None

    def backend(self, timeout: float) -> BackendFigures:
        """Brokers and topics; the protocol tells no version of the server."""
        with translated():
            self._admin = self._admin or AdminClient(self._settings)
            metadata = self._admin.list_topics(timeout=timeout)
        brokers, topics = len(metadata.brokers), sum(1 for name in metadata.topics if not name.startswith("__"))
        detail = f"{brokers} broker{'s' if brokers != 1 else ''}, {topics} topics"
        return BackendFigures(latency=0.0, version="", detail=detail)

    def close(self) -> None:
        """Give up the connection; idempotent."""
        self._admin = None

"""librdkafka settings from the configuration."""

from typing import TypeAlias

from ticketops.options import KafkaOptions

Setting: TypeAlias = str | int | float | bool
DEFAULT_MESSAGE_BYTES = 1_000_000
"""librdkafka's default of message.max.bytes."""


def client_settings(options: KafkaOptions, client_id: str) -> dict[str, Setting]:
    """What every client needs: brokers, a name, credentials; `kafka.properties` win."""
    settings: dict[str, Setting] = {"bootstrap.servers": options.bootstrap_servers, "client.id": client_id}
    if options.username:
        settings |= {"sasl.username": options.username, "sasl.password": options.password}
    return settings | dict(options.properties)


def producer_settings(
    options: KafkaOptions, client_id: str, *, batch_events: int, batch_bytes: int
) -> dict[str, Setting]:
    """An idempotent producer that keeps order and lets nothing overtake what it could not send.

    Messages never time out here: the relay waits as long as its lease lasts, so an outage costs no attempt and
    makes no repeat. A record that a broker refuses stops the producer (gapless), so that its successors cannot
    overtake it.
    """
    ours: dict[str, Setting] = {
        "enable.idempotence": True,
        "enable.gapless.guarantee": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": 5,
        "message.timeout.ms": 0,
        "queue.buffering.max.messages": max(4 * batch_events, 1000),
        "queue.buffering.max.kbytes": 2 * batch_bytes // 1024 + 65_536,
        "topic.metadata.propagation.max.ms": 5_000,
        "reconnect.backoff.max.ms": 2_000,
        "statistics.interval.ms": 0,
    }
    return ours | client_settings(options, client_id)

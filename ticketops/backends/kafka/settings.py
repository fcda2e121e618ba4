"""librdkafka settings from the configuration."""

from typing import TypeAlias

from ticketops.options import KafkaOptions

Setting: TypeAlias = str | int | float | bool
DEFAULT_MESSAGE_BYTES = 1_000_000
"""librdkafka's default of message.max.bytes and batch.size."""
_LINGER = frozenset({"linger.ms", "queue.buffering.max.ms"})


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
    overtake it. Nothing lingers: every batch is flushed, and a request that left before its batch is complete would
    be followed by a second one, which a partition may take although it refused the first.
    """
    ours: dict[str, Setting] = {
        "enable.idempotence": True,
        "enable.gapless.guarantee": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "message.timeout.ms": 0,
        "queue.buffering.max.messages": max(4 * batch_events, 1000),
        "queue.buffering.max.kbytes": 2 * batch_bytes // 1024 + 65_536,
        "topic.metadata.propagation.max.ms": 5_000,
        "reconnect.backoff.max.ms": 2_000,
        "statistics.interval.ms": 0,
    }
    theirs = client_settings(options, client_id)
    return {k: v for k, v in (ours | theirs).items() if k not in _LINGER} | {"linger.ms": 60_000}

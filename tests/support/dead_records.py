"""Dead letters as Kafka Connect, Spring, SmallRye, Streams and share groups write them; values as they were seen."""

from dataclasses import dataclass

from ticketops.domain.deadletters import Headers
from ticketops.domain.record_headers import Family

STACK = """org.springframework.kafka.listener.ListenerExecutionFailedException: Listener failed
\tat org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer.decorateException(K.java:2946)
\tSuppressed: org.springframework.kafka.listener.ListenerExecutionFailedException: Restored Stack Trace
\t\tat org.springframework.kafka.listener.adapter.MessagingMessageListenerAdapter.invokeHandler(M.java:465)
\tCaused by: java.lang.Suppressed: inside a suppressed one
Caused by: java.lang.IllegalStateException: payment 4711 refused
\tat com.example.Payments.capture(Payments.java:41)
\t... 14 more
Caused by: java.net.SocketTimeoutException: Read timed out
\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:288)
\t... 20 more
"""
ROOT = "java.net.SocketTimeoutException"
CONNECT_STACK = (
    "org.apache.kafka.connect.errors.DataException: Converting byte[] to Kafka Connect data failed due to "
    "serialization error: \n\tat org.apache.kafka.connect.json.JsonConverter.toConnectData(JsonConverter.java:333)\n"
    "Caused by: org.apache.kafka.common.errors.SerializationException: java.io.CharConversionException: Invalid\n"
    "\tat org.apache.kafka.connect.json.JsonDeserializer.deserialize(JsonDeserializer.java:69)\n"
    "Caused by: java.io.CharConversionException: Invalid UTF-32 character 0x17a2225 (above 0x0010ffff)\n"
    "\tat com.fasterxml.jackson.core.io.UTF32Reader.reportInvalid(UTF32Reader.java:202)\n"
)
WRAPPER = b"org.springframework.kafka.listener.ListenerExecutionFailedException"
TIME = 1_795_428_654_947


def int32(number: int) -> bytes:
    return number.to_bytes(4, signed=True)


def int64(number: int) -> bytes:
    return number.to_bytes(8, signed=True)


def connect(
    topic: str = "booking-events", partition: int = 3, offset: int = 12, message: bytes | None = b"x"
) -> Headers:
    prefix = "__connect.errors."
    return (
        (f"{prefix}topic", topic.encode()),
        (f"{prefix}partition", str(partition).encode()),
        (f"{prefix}offset", str(offset).encode()),
        (f"{prefix}connector.name", b"sink"),
        (f"{prefix}task.id", b"0"),
        (f"{prefix}stage", b"VALUE_CONVERTER"),
        (f"{prefix}class.name", b"org.apache.kafka.connect.json.JsonConverter"),
        (f"{prefix}exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
        (f"{prefix}exception.message", message),
        (f"{prefix}exception.stacktrace", CONNECT_STACK.encode()),
    )


def spring_original(
    topic: str = "booking-events", partition: int = 3, offset: int = 12, *, prefix: str = "kafka_dlt-"
) -> Headers:
    return (
        (f"{prefix}original-topic", topic.encode()),
        (f"{prefix}original-partition", int32(partition)),
        (f"{prefix}original-offset", int64(offset)),
        (f"{prefix}original-timestamp", int64(TIME)),
        (f"{prefix}original-timestamp-type", b"CreateTime"),
    )


def spring_exception(*, prefix: str = "kafka_dlt-", kind: str = "exception", cause: bytes | None = None) -> Headers:
    return (
        (f"{prefix}{kind}-fqcn", WRAPPER),
        *(((f"{prefix}{kind}-cause-fqcn", cause),) if cause else ()),
        (f"{prefix}{kind}-message", b"Listener failed; payment 4711 refused"),
        (f"{prefix}{kind}-stacktrace", STACK.encode()),
    )


def spring(topic: str = "booking-events", partition: int = 3, offset: int = 12) -> Headers:
    cause = b"java.lang.IllegalStateException"
    group = ("kafka_dlt-original-consumer-group", b"email-worker")
    return (*spring_exception(cause=cause), *spring_original(topic, partition, offset), group)


def spring_key(topic: str = "booking-events", partition: int = 3, offset: int = 12) -> Headers:
    return (
        ("springDeserializerExceptionKey", b"\xac\xed\x00\x05sr" + bytes(3000)),
        *spring_exception(kind="key-exception"),
        *spring_original(topic, partition, offset),
        ("kafka_dlt-original-consumer-group", b"email-worker"),
    )


def spring_retry(topic: str = "booking-events", partition: int = 3, offset: int = 12) -> Headers:
    return (
        *spring_original(topic, partition, offset, prefix="kafka_"),
        ("kafka_dlt-original-consumer-group", b"email-worker"),
        *spring_exception(prefix="kafka_", cause=b"java.lang.IllegalStateException"),
        ("retry_topic-original-timestamp", TIME.to_bytes(6, signed=True)),
        ("retry_topic-attempts", int32(2)),
        ("retry_topic-backoff-timestamp", (TIME + 1000).to_bytes(6, signed=True)),
        ("retry_topic-attempts", int32(3)),
        ("retry_topic-backoff-timestamp", (TIME + 2000).to_bytes(6, signed=True)),
        ("retry_topic-attempts", int32(4)),
    )


def cloud_stream(topic: str = "booking-events", partition: int = 3, offset: int = 12) -> Headers:
    return (
        ("x-original-topic", topic.encode()),
        ("x-original-partition", int32(partition)),
        ("x-original-offset", int64(offset)),
        ("x-original-timestamp", int64(TIME)),
        ("x-original-timestamp-type", b"CreateTime"),
        ("x-exception-fqcn", b"org.springframework.messaging.MessageHandlingException"),
        (
            "x-exception-message",
            b"error occurred in message handler [org.springframework.cloud.stream.function.FunctionConfiguration$1@4e]",
        ),
        ("x-exception-stacktrace", STACK.encode()),
    )


def smallrye(topic: str = "booking-events", partition: int = 3, offset: int = 12) -> Headers:
    return (
        ("dead-letter-reason", b"payment 4711 refused"),
        ("dead-letter-cause", b"Read timed out"),
        ("dead-letter-exception-class-name", b"java.lang.IllegalStateException"),
        ("dead-letter-topic", topic.encode()),
        ("dead-letter-partition", str(partition).encode()),
        ("dead-letter-offset", str(offset).encode()),
    )


def streams(
    topic: str = "booking-events", partition: int = 3, offset: int = 12, message: bytes | None = b"x"
) -> Headers:
    prefix = "__streams.errors."
    return (
        (f"{prefix}exception", b"java.lang.ArithmeticException"),
        (f"{prefix}message", message),
        (f"{prefix}stacktrace", b"java.lang.ArithmeticException: / by zero\n\tat com.example.T.apply(T.java:7)\n"),
        (f"{prefix}topic", topic.encode()),
        (f"{prefix}partition", str(partition).encode()),
        (f"{prefix}offset", str(offset).encode()),
    )


def share_group(topic: str = "booking-events", partition: int = 3, offset: int = 12) -> Headers:
    prefix = "__dlq.errors."
    return (
        (f"{prefix}topic", topic.encode()),
        (f"{prefix}partition", str(partition).encode()),
        (f"{prefix}offset", str(offset).encode()),
        (f"{prefix}group", b"share-email"),
        (f"{prefix}delivery.count", b"5"),
        (f"{prefix}message", b"Record was rejected by the client"),
    )


@dataclass(frozen=True)
class Sample:
    """What a family's headers are, and what they mean."""

    family: Family
    headers: Headers
    error_class: str
    message: str
    attempts: int | None = None
    group: str = ""
    timed: bool = False


SAMPLES = {
    "connect": Sample(Family.CONNECT, connect(), "java.io.CharConversionException", "x"),
    "spring": Sample(Family.SPRING, spring(), ROOT, "payment 4711 refused", None, "email-worker", timed=True),
    "spring-key": Sample(Family.SPRING, spring_key(), ROOT, "payment 4711 refused", None, "email-worker", timed=True),
    "spring-retry": Sample(
        Family.SPRING_RETRY, spring_retry(), ROOT, "payment 4711 refused", 3, "email-worker", timed=True
    ),
    "cloud-stream": Sample(Family.CLOUD_STREAM, cloud_stream(), ROOT, "", timed=True),
    "smallrye": Sample(Family.SMALLRYE, smallrye(), "java.lang.IllegalStateException", "payment 4711 refused"),
    "streams": Sample(Family.STREAMS, streams(), "java.lang.ArithmeticException", "x"),
    "share-group": Sample(Family.SHARE_GROUP, share_group(), "", "Record was rejected by the client", 5, "share-email"),
}

"""A broker that lets this user write to some topics only."""

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from support.engines import QUICK
from support.ledger import judge, read_topics
from support.relay import MakeRelay, Site, add, pending
from support.waiting import eventually
from ticketops.embedded.engine import free_port
from ticketops.embedded.kafka import KafkaServer

_AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
_STATES = "select event_id::text, state from ticketops.outbox_failures"
_ERROR = "select last_error from booking.outbox_events where id = %s"
OPEN, READABLE, HIDDEN, NAMED = "booking-events", "payment-events", "ticket-events", "named-events"


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaServer]:
    """A Kafka whose topics belong to nobody until there are rules for them."""
    server = KafkaServer(properties=QUICK | _AUTHORIZER)
    server.properties |= _with_passwords(server)
    with server:
        server.create_topics([OPEN, READABLE, HIDDEN, NAMED])
        yield server


def _with_passwords(server: KafkaServer) -> dict[str, str]:
    """A second listener, for users with a password."""
    plain = f"PLAINTEXT://{server.address}"
    named = f"{plain},NAMED://127.0.0.1:{free_port()}"
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return {
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,NAMED:SASL_PLAINTEXT",
        "listeners": f"{named},CONTROLLER://127.0.0.1:{server.controller_port}",
        "advertised.listeners": named,
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.named.plain.sasl.jaas.config": f'{module} required user_relay="right";',
    }


@pytest.fixture
def named(site: Site, broker: KafkaServer) -> Site:
    """The way to the broker that asks for a password."""
    address = broker.properties["advertised.listeners"].rpartition("//")[2]
    properties = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "PLAIN"}
    kafka = {"bootstrap_servers": address, "username": "relay", "properties": properties, "answer_timeout": 2.0}
    return site.with_(kafka=kafka, outbox={"topics": {"BOOKING": NAMED}})


def test_a_wrong_password_of_kafka_is_said(named: Site, broker: KafkaServer, make_relay: MakeRelay) -> None:
    (event,) = add(named, "N-1", '{"n": 1}')
    relay = make_relay(at=named, kafka={"password": "wr0ng"})
    assert relay.run() == 4
    assert "Kafka refused this user" in relay.log
    assert "kafka.password" in relay.log
    assert "wr0ng" not in relay.log
    assert make_relay("right", "--drain", at=named, kafka={"password": "right"}).run() == 0
    assert [record.event_id for record in read_topics(broker.address, [NAMED])] == [event]


def _rule(topic: str, operation: AclOperation, user: str) -> AclBinding:
    return AclBinding(
        ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, user, "*", operation, AclPermissionType.ALLOW
    )


@pytest.fixture
def admin(broker: KafkaServer) -> AdminClient:
    """Gives the topics rules: of one all may know that it is there, of the other one user only."""
    client = AdminClient({"bootstrap.servers": broker.address})
    rules = [
        _rule(READABLE, AclOperation.READ, "User:ANONYMOUS"),
        _rule(READABLE, AclOperation.ALL, "User:owner"),
        _rule(HIDDEN, AclOperation.ALL, "User:owner"),
    ]
    for created in client.create_acls(rules).values():
        created.result(30)
    return client


def _open_up(admin: AdminClient) -> None:
    everything = AclBindingFilter(
        ResourceType.TOPIC, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
    )
    for deleted in admin.delete_acls([everything]).values():
        deleted.result(30)
    eventually(lambda: HIDDEN in admin.list_topics(timeout=10).topics, 10)


@pytest.fixture
def guarded(site: Site, broker: KafkaServer) -> Site:
    topics = {"BOOKING": OPEN, "PAYMENT": READABLE, "TICKET": HIDDEN}
    return site.with_(kafka={"bootstrap_servers": broker.address}, outbox={"topics": topics})


def test_topics_that_this_user_may_not_write_to(guarded: Site, admin: AdminClient, make_relay: MakeRelay) -> None:
    allowed = {f"B-{n}": add(guarded, f"B-{n}", '{"n": 1}', '{"n": 2}') for n in range(10)}
    (denied,) = add(guarded, "P-1", '{"n": 1}', aggregate_type="PAYMENT")
    (unseen,) = add(guarded, "T-1", '{"n": 1}', aggregate_type="TICKET")
    relay = make_relay(at=guarded, relay={"max_attempts": 2}).start()
    eventually(lambda: pending(guarded) == 0, 30)
    assert dict(guarded.rows(_STATES)) == {denied: "dead", unseen: "dead"}
    # What was on its way when the producer met the refusal may be sent again.
    verdict = judge(allowed, read_topics(guarded.brokers, [OPEN]))
    assert verdict.kept, verdict
    assert f"this user may not write to topic {READABLE}" in guarded.one(_ERROR, denied)
    assert guarded.one(_ERROR, unseen) == f"Kafka has no topic {HIDDEN}, or this user may not see it"
    assert relay.is_running
    _open_up(admin)
    retried = guarded.run("outbox", "retry", "--dead", "--yes")
    assert retried.code == 0, retried.err
    eventually(lambda: pending(guarded) == 0 and not guarded.rows(_STATES), 30)
    assert {r.event_id for r in read_topics(guarded.brokers, [READABLE, HIDDEN])} == {denied, unseen}

"""Brokers that want certificates and passwords get them; what they refuse is one line that says what to do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from pydantic import SecretStr

from consumer.core.terms import Partition
from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.connection import KafkaConnection, KafkaRefusedError, reach
from consumer.edge.kafka.journal_log import KafkaJournal
from consumer.edge.kafka.reading.events_consumer import GroupConsumer
from consumer.edge.kafka.results_producer import KafkaResults
from consumer.edge.kafka.topics import Expectations, create_topics, examine
from consumer.service.ports import Message
from tests.kafka.support import TEMPLATE
from tests.support.listeners import Listener, add_listener, free_address

PASSWORD = "correct horse"
EXPECTATIONS = Expectations(
    journals={"events": "events-journal"}, results="results", dead_letter="dead", control="control"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A broker with a listener that wants TLS and a password, and what is right for it."""

    connection: KafkaConnection


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    """A broker that is started, given another listener, and started again; for all tests of this module."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    key = load_pem_private_key(issued.private_key_pem.bytes(), password=None)
    chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # the one that Kafka reads
    (folder / "broker.pem").write_bytes(pkcs8 + chain)
    address = free_address()
    async with ApacheKafka() as kafka:
        await add_listener(kafka, guarded_listener(address, folder / "broker.pem"))
        yield Guarded(
            connection=KafkaConnection(
                bootstrap_servers=(address,),
                security_protocol="SASL_SSL",
                sasl_mechanism="PLAIN",
                sasl_username="service",
                sasl_password=SecretStr(PASSWORD),
                ssl_cafile=folder / "ca.pem",
            )
        )


def guarded_listener(address: str, keys: Path) -> Listener:
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    return Listener(
        name="GUARDED",
        address=address,
        protocol="SASL_SSL",
        settings={
            "listener.name.guarded.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.guarded.plain.sasl.jaas.config": f'{module} required user_service="{PASSWORD}";',
            "listener.name.guarded.ssl.keystore.type": "PEM",
            "listener.name.guarded.ssl.keystore.location": str(keys),
        },
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_everything_works_over_tls_with_a_password(guarded: Guarded) -> None:
    connection = guarded.connection
    await create_topics(connection, EXPECTATIONS, events_partitions=2)
    partition = Partition("events", 1)

    assert [finding for finding in await examine(connection, EXPECTATIONS) if not finding.is_note] == []
    journal = KafkaJournal(connection, topic_template=TEMPLATE, on_replaced=lambda _: None)
    await journal.start()
    base = await journal.append(partition, [b"{}"])
    assert [entry.value for entry in await journal.read(partition, base, (await journal.bounds(partition))[1])] == [
        b"{}"
    ]
    await journal.stop()
    results = KafkaResults(connection, on_replaced=lambda _: None)
    await results.start()
    await results.publish("results", 0, [Message(key=b"k", value=b"v")])
    await results.stop()
    consumer = GroupConsumer(connection, group="guarded", topics=["events"])
    await consumer.start(on_assigned=lambda _: None, on_revoked=nothing)
    while not consumer.assignment():
        await consumer.fetch(max_records=1, timeout_seconds=0.1)
    assert await consumer.committed(partition) is None
    await consumer.stop()


async def nothing(_: object) -> None:
    """Nothing is to be handed over."""


@pytest.mark.asyncio(loop_scope="module")
async def test_a_wrong_password_is_told_apart_from_brokers_that_are_away_and_is_never_printed(guarded: Guarded) -> None:
    connection = replace(guarded.connection, sasl_password=SecretStr("battery staple"))

    (finding,) = await examine(connection, EXPECTATIONS)

    assert "refuse us" in str(finding)
    assert "__SASL_PASSWORD" in str(finding)
    assert "\n" not in str(finding)
    assert "battery" not in str(finding) + repr(connection) + str(connection)
    for edge in (
        KafkaResults(connection, on_replaced=lambda _: None),
        KafkaJournal(connection, topic_template=TEMPLATE, on_replaced=lambda _: None),
    ):
        with pytest.raises(KafkaRefusedError, match="refuse us"):
            await edge.start()


@pytest.mark.asyncio(loop_scope="module")
async def test_an_untrusted_certificate_names_the_setting_of_the_authority(guarded: Guarded) -> None:
    connection = replace(guarded.connection, ssl_cafile=None)

    with pytest.raises(KafkaRefusedError, match="CAMPAIGN_KAFKA__SSL_CAFILE"):
        await reach(connection)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_mechanism_that_the_broker_does_not_offer_is_a_refusal(guarded: Guarded) -> None:
    connection = replace(guarded.connection, sasl_mechanism="SCRAM-SHA-512")

    (finding,) = await examine(connection, EXPECTATIONS)

    assert "__SASL_MECHANISM" in str(finding)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_connection_without_tls_to_a_broker_with_tls_says_what_to_check(guarded: Guarded) -> None:
    connection = KafkaConnection(bootstrap_servers=guarded.connection.bootstrap_servers)

    (finding,) = await examine(connection, EXPECTATIONS)

    assert "CAMPAIGN_KAFKA__SECURITY_PROTOCOL" in str(finding)

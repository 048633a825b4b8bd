"""What the tests of the Kafka edges share: connections, a listener to trouble, a place to do as brokers do."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import TopicPartition

from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.journal_log import KafkaJournal
from consumer.edge.kafka.results_producer import KafkaResults
from consumer.service.ports import Message
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

TEMPLATE = "{topic}-journal"
NO_BROKER = -1
"""Stands in a partition's metadata for a leader that it does not have."""


def connection_to(kafka: Cluster) -> KafkaConnection:
    return KafkaConnection(bootstrap_servers=tuple(kafka.bootstrap_servers.split(",")))


@asynccontextmanager
async def journal_on(
    kafka: Cluster, heard: list[str] | None = None, *, replaced: list[str] | None = None
) -> AsyncIterator[KafkaJournal]:
    """A journal that is started and stopped; what it tells is added to `heard`, of replaced producers to `replaced` instead."""
    told: list[str] = [] if heard is None else heard
    journal = KafkaJournal(
        connection_to(kafka),
        topic_template=TEMPLATE,
        on_replaced=(told if replaced is None else replaced).append,
        on_trouble=told.append,
    )
    await journal.start()
    try:
        yield journal
    finally:
        await journal.stop()


async def until_leaderless(kafka: Cluster, topic: str, number: int, *, brokers: Sequence[int]) -> None:
    """Wait until each of these brokers says that a partition has no leader: one may hear of it later than the others."""
    for broker in brokers:
        without = partial(_is_leaderless, kafka.bootstrap_servers.split(",")[broker - 1], broker, topic, number)
        await eventually(without, within_seconds=30.0, what=f"broker {broker} names no leader of {topic}:{number}")


async def _is_leaderless(address: str, broker: int, topic: str, number: int) -> bool:
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        answer = await client.send(broker, MetadataRequest([topic], allow_auto_topic_creation=False))
    finally:
        await client.close()
    ((_code, _topic, _internal, partitions),) = answer.topics
    return (number, NO_BROKER) in {(one[1], one[2]) for one in partitions}


@asynccontextmanager
async def results_on(kafka: Cluster, heard: list[str] | None = None) -> AsyncIterator[KafkaResults]:
    """A producer of results that is started and stopped; what it tells is added to `heard`."""
    told = [] if heard is None else heard
    results = KafkaResults(connection_to(kafka), on_replaced=told.append, on_trouble=told.append)
    await results.start()
    try:
        yield results
    finally:
        await results.stop()


def messages(count: int, *, size_bytes: int = 100) -> list[Message]:
    """Messages that can be told apart."""
    return [Message(key=b"%d" % n, value=(b"%d " % n).ljust(size_bytes, b"x")) for n in range(count)]


@contextmanager
def without_permission(topic: str) -> Iterator[None]:
    """Let brokers say that we may not write to a topic: what they take has not landed for us."""
    do = SendProduceReqHandler.do

    async def denied(handler: SendProduceReqHandler, node_id: int) -> None:
        for partition, batch in handler._batches.items():  # noqa: SLF001 - where the client hears of it
            if partition.topic == topic:
                batch.failure(exception=TopicAuthorizationFailedError(topic))
                return
        await do(handler, node_id)

    SendProduceReqHandler.do = denied
    try:
        yield
    finally:
        SendProduceReqHandler.do = do


@contextmanager
def frozen(kafka: ApacheKafka, number: int = 1) -> Iterator[None]:
    """A broker whose process stands still: connections stay open, and nothing answers."""
    kafka.freeze_broker(number)
    try:
        yield
    finally:
        kafka.thaw_broker(number)


async def delete_records(kafka: Cluster, topic: str, *, before: int) -> None:
    """Let the first records of partition 0 go, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=before)})
    finally:
        await admin.close()

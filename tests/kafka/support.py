"""What the tests of the Kafka edges share: connections, a listener to trouble, a place to do as brokers do."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.producer.sender import SendProduceReqHandler

from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.journal_log import KafkaJournal
from consumer.edge.kafka.results_producer import KafkaResults
from consumer.service.ports import Message
from tests.support.cluster import Cluster

TEMPLATE = "{topic}-journal"


def connection_to(kafka: Cluster) -> KafkaConnection:
    return KafkaConnection(bootstrap_servers=tuple(kafka.bootstrap_servers.split(",")))


@asynccontextmanager
async def journal_on(kafka: Cluster, heard: list[str] | None = None) -> AsyncIterator[KafkaJournal]:
    """A journal that is started and stopped; what it tells is added to `heard`."""
    told = [] if heard is None else heard
    journal = KafkaJournal(
        connection_to(kafka), topic_template=TEMPLATE, on_replaced=told.append, on_trouble=told.append
    )
    await journal.start()
    try:
        yield journal
    finally:
        await journal.stop()


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

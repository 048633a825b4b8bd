"""What the tests of the Kafka edges share: connections, a listener to trouble, a place to do as brokers do."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from consumer.core.terms import Offset, Partition
from consumer.demo.apache_kafka import ApacheKafka
from consumer.edge.events_consumer import GroupConsumer
from consumer.edge.journal_log import KafkaJournal
from consumer.edge.kafka_connection import KafkaConnection
from consumer.edge.results_producer import KafkaResults
from consumer.service.ports import Message, Record
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
    results = KafkaResults(connection_to(kafka), on_replaced=([] if heard is None else heard).append)
    await results.start()
    try:
        yield results
    finally:
        await results.stop()


def messages(count: int, *, size_bytes: int = 100) -> list[Message]:
    """Messages that can be told apart."""
    return [Message(key=b"%d" % n, value=(b"%d " % n).ljust(size_bytes, b"x")) for n in range(count)]


@contextmanager
def frozen(kafka: ApacheKafka, number: int = 1) -> Iterator[None]:
    """A broker whose process stands still: connections stay open, and nothing answers."""
    kafka.freeze_broker(number)
    try:
        yield
    finally:
        kafka.thaw_broker(number)


@dataclass(slots=True, kw_only=True)
class Member:
    """A member of a group that takes what it is given from its beginning, and notes what happens."""

    consumer: GroupConsumer
    assignments: list[frozenset[Partition]] = field(default_factory=list)
    revocations: list[frozenset[Partition]] = field(default_factory=list)
    records: dict[Partition, list[Record]] = field(default_factory=dict)

    async def fetch(self) -> int:
        """Fetch once; return how many records came."""
        fetched = await self.consumer.fetch(max_records=10_000, timeout_seconds=0.2)
        for partition, batch in fetched.items():
            self.records.setdefault(partition, []).extend(batch)
        return sum(map(len, fetched.values()))

    async def fetch_until(self, count: int) -> None:
        """Fetch until so many records have come in all; the test's own deadline bounds it."""
        while self.count < count:
            await self.fetch()

    @property
    def count(self) -> int:
        return sum(map(len, self.records.values()))

    def values(self, partition: Partition) -> Sequence[bytes | None]:
        return [record.value for record in self.records.get(partition, [])]

    def begin(self, partition: Partition, offset: int = 0) -> None:
        """Read a partition from an offset on."""
        self.consumer.seek(partition, Offset(offset))
        self.consumer.resume([partition])

"""How long Kafka keeps the events is known as far as it has an end, and again when somebody has changed it."""

from collections.abc import AsyncIterator, Mapping

import pytest_asyncio
from aiokafka import AIOKafkaClient

from consumer.edge.kafka.reading.retention import ASK_EVERY_SECONDS, Retention
from tests.support.cluster import Cluster
from tests.support.topics import Topics

DAY_MS, DAY_SECONDS = "86400000", 86_400.0


@pytest_asyncio.fixture
async def client(kafka: Cluster) -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap_servers)
    await client.bootstrap()
    yield client
    await client.close()


async def test_a_topics_retention_is_known_where_it_has_an_end(client: AIOKafkaClient, topics: Topics) -> None:
    day = await topics.create("day", settings={"retention.ms": DAY_MS})
    ever = await topics.create("ever", settings={"retention.ms": "-1"})
    compacted = await topics.create("compacted", settings={"retention.ms": DAY_MS, "cleanup.policy": "compact"})
    both = await topics.create("both", settings={"retention.ms": DAY_MS, "cleanup.policy": "compact,delete"})
    known: list[Mapping[str, float]] = []

    wanted = [day, ever, compacted, both, "no-such-topic"]
    await Retention(wanted, on_known=known.append, clock=lambda: 0.0).look(client)

    assert known == [{day: DAY_SECONDS, both: DAY_SECONDS}]


async def test_a_changed_retention_is_seen_within_a_minute_and_not_asked_for_all_the_time(
    client: AIOKafkaClient, topics: Topics
) -> None:
    topic = await topics.create("events", settings={"retention.ms": DAY_MS})
    known: list[Mapping[str, float]] = []
    now = 1_000.0
    retention = Retention([topic], on_known=known.append, clock=lambda: now)
    await retention.look(client)
    await topics.alter(topic, {"retention.ms": "172800000"})

    await retention.look(client)
    assert known == [{topic: DAY_SECONDS}]

    now += ASK_EVERY_SECONDS
    await retention.look(client)
    assert known[1:] == [{topic: 2 * DAY_SECONDS}]

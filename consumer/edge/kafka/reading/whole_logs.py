"""Reads whole logs, for `audit` and `replay`: as many records at a time as one fetch brings.

Joins no group, commits nothing and creates nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from consumer.core.terms import Partition
from consumer.edge.kafka.clients import client_of, close, partition_numbers
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.group.commits import GroupCommits
from consumer.edge.kafka.reading.topic_reader import Isolation, TopicReader
from consumer.service.ports import TopicGoneError

ANSWER_SECONDS = 10.0


class WholeLogs:
    """Reads logs, their bounds and a group's commits; one call at a time."""

    def __init__(self, connection: KafkaConnection, *, group: str, on_trouble: Callable[[str], None]) -> None:
        """Prepare. `on_trouble` gets why a request is repeated."""
        self._connection = connection
        self._reader = TopicReader(connection, isolation=Isolation.COMMITTED, on_trouble=on_trouble)
        self._ends = TopicReader(connection, isolation=Isolation.UNCOMMITTED, on_trouble=on_trouble)
        self._commits = GroupCommits(connection, group=group, on_trouble=on_trouble)

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has.

        Raises:
            TopicGoneError: there is no such topic.
        """
        async with self._admin() as admin:
            numbers = await partition_numbers(client_of(admin), topic)
        if not numbers:
            raise TopicGoneError(f"topic {topic!r} does not exist")
        return len(numbers)

    async def cluster_id(self) -> str:
        """Return the cluster's ID, which no other cluster has."""
        async with self._admin() as admin:
            return str((await admin.describe_cluster())["cluster_id"])

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self._connection.client_arguments())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await admin.start()
                yield admin
        finally:
            await close(client_of(admin))

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """Return a partition's first offset and its end (one past the last readable record).

        Raises:
            TopicGoneError: there is no such topic, or no such partition of it.
            KafkaRefusedError: the brokers refuse us.
        """
        return await self._reader.bounds(TopicPartition(topic, partition))

    async def open_end(self, topic: str, partition: int) -> int:
        """Return a partition's end, including records of open transactions; raises as `bounds` does."""
        _, end = await self._ends.bounds(TopicPartition(topic, partition))
        return end

    async def committed(self, topic: str, partition: int) -> int | None:
        """Return what the group has committed, None where it has not; raises as `bounds` does."""
        found = await self._commits.of(Partition(topic, partition))
        return None if found is None else found.offset

    async def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """Return the first offset whose record is not older than the timestamp, None where there is none.

        Raises as `bounds` does.
        """
        return await self._reader.offset_at(TopicPartition(topic, partition), timestamp_ms)

    async def read(self, topic: str, partition: int, start: int, stop: int) -> AsyncIterator[Sequence[Any]]:
        """Yield the records of a range in order, as many at a time as one fetch brings; raises as `bounds` does."""
        while records := await self._reader.read_some(TopicPartition(topic, partition), start, stop):
            yield records
            start = records[-1].offset + 1

    async def each(
        self, topic: str, partition: int, start: int, stop: int, take: Callable[[Sequence[Any]], Awaitable[None]]
    ) -> None:
        """Hand the records of a range over in their order, a bounded number at a time, while more are fetched.

        Raises as `bounds` does.
        """
        await self._reader.each(TopicPartition(topic, partition), start, stop, take)

    async def stop(self) -> None:
        """Disconnect."""
        await self._reader.stop()
        await self._ends.stop()

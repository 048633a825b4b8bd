"""Reads a group's commits, with their metadata. Never commits.

The member's own client hides the metadata, and takes an error of the coordinator for "no commit". So this module uses an
admin client.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.clients import client_of, close
from consumer.edge.kafka.connection import REFUSALS, KafkaConnection, refused, words
from consumer.service.ports import Committed

ANSWER_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class GroupCommits:
    """Reads what a group has committed; for many callers at once."""

    def __init__(self, connection: KafkaConnection, *, group: str, on_trouble: Callable[[str], None]) -> None:
        """Prepare. `on_trouble` gets why a request is repeated."""
        self._connection = connection
        self._group = group
        self._on_trouble = on_trouble
        self._asking = asyncio.Lock()
        self._waiting: dict[asyncio.Future[Committed | None], Partition] = {}

    async def of(self, partition: Partition) -> Committed | None:
        """Return the group's commit, None where there is none. Retries until the brokers have said which.

        One request at a time, for all callers that wait: a take-over of a hundred partitions takes two.

        Raises:
            KafkaRefusedError: the brokers refuse us.
        """
        answer: asyncio.Future[Committed | None] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = partition
        pause_seconds = FIRST_PAUSE_SECONDS
        try:
            async with self._asking:
                while not answer.done():
                    why = await self._answer_all()
                    if why is not None and not answer.done():
                        self._on_trouble(f"reading the commit of {partition}: {why}; tried again")
                        await asyncio.sleep(pause_seconds)
                        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            return answer.result()
        finally:
            self._waiting.pop(answer, None)

    async def _answer_all(self) -> str | None:
        """Send one request for all callers that wait; return why one of them still waits, None if none does."""
        wanted = {TopicPartition(*partition) for partition in self._waiting.values()}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                offsets = await self._ask(wanted)
        except REFUSALS as error:
            raise refused(error, self._connection) from error
        except (KafkaError, OSError, TimeoutError) as error:
            return words(error)
        for answer, partition in self._waiting.items():
            found = offsets.get(TopicPartition(*partition))
            if found is not None and not answer.done():
                answer.set_result(_committed(found))
        # a coordinator that is not ready answers without any partition
        return None if wanted <= offsets.keys() else "the coordinator is not ready"

    async def _ask(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, OffsetAndMetadata]:
        # a new client for each request: one that has lost brokers would have to find the others first
        admin = AIOKafkaAdminClient(**self._connection.client_arguments())
        try:
            await admin.start()
            found: Mapping[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(
                self._group, partitions=list(partitions)
            )
        finally:
            await close(client_of(admin))  # its own close() waits for frozen brokers
        return found


def _committed(found: OffsetAndMetadata) -> Committed | None:
    return None if found.offset < 0 else Committed(offset=Offset(found.offset), metadata=found.metadata)

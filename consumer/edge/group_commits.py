"""What a group has committed, with its metadata, and surely. Never commits.

The member's own client hides the metadata and takes an error of the coordinator for "no commit", so this asks
through an administrator's client.
"""

import asyncio
from collections.abc import Callable, Mapping

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from consumer.core.terms import Offset, Partition
from consumer.edge.kafka_clients import client_of, close
from consumer.edge.kafka_connection import REFUSALS, KafkaConnection, refused, words
from consumer.service.ports import Committed

AT_ONCE = 8
"""Questions at once: a take-over of a hundred partitions opens no hundred connections."""
ANSWER_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class GroupCommits:
    """Answers what a group has committed; many callers at once."""

    def __init__(self, connection: KafkaConnection, *, group: str, on_trouble: Callable[[str], None]) -> None:
        """Prepare. `on_trouble` hears why a question is asked again."""
        self._connection = connection
        self._group = group
        self._on_trouble = on_trouble
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def of(self, partition: Partition) -> Committed | None:
        """Return the group's commit, None where there surely is none. Retries until it knows.

        Raises:
            KafkaRefusedError: the brokers refuse us.
        """
        wanted = TopicPartition(*partition)
        pause_seconds = FIRST_PAUSE_SECONDS
        async with self._slots:
            while True:
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        offsets = await self._ask(wanted)
                    if wanted in offsets:  # a coordinator that is not ready answers without any partition
                        return _committed(offsets[wanted])
                    why = "the coordinator is not ready"
                except REFUSALS as error:
                    raise refused(error, self._connection) from error
                except (KafkaError, OSError, TimeoutError) as error:
                    why = words(error)
                self._on_trouble(f"reading the commit of {partition}: {why}; tried again")
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    async def _ask(self, partition: TopicPartition) -> Mapping[TopicPartition, OffsetAndMetadata]:
        # a client of its own for each question: one that has known brokers die is not worth keeping
        admin = AIOKafkaAdminClient(**self._connection.client_arguments())
        try:
            await admin.start()
            found: Mapping[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(
                self._group, partitions=[partition]
            )
        finally:
            await close(client_of(admin))  # its own close() waits for frozen brokers
        return found


def _committed(found: OffsetAndMetadata) -> Committed | None:
    return None if found.offset < 0 else Committed(offset=Offset(found.offset), metadata=found.metadata)

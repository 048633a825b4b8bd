"""Reads the ends of many logs, with one request to each leader. Waits for no broker that is away."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from aiokafka import AIOKafkaClient, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.offset import OffsetRequest

from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.connection import words
from consumer.service.ports import NoBrokerError

LATEST = -1
READ_COMMITTED = 1
NO_REPLICA = -1


async def log_ends(client: AIOKafkaClient, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
    """Return one past the last readable offset of each partition whose leader is known and answers.

    Raises:
        NoBrokerError: no leader answers.
    """
    by_leader: defaultdict[int, list[Partition]] = defaultdict(list)
    for partition in partitions:
        leader = client.cluster.leader_for_partition(TopicPartition(*partition))
        if leader is not None and leader >= 0:
            by_leader[leader].append(partition)
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_ask(client, *question)) for question in by_leader.items()]
    ends: dict[Partition, Offset] = {}
    why = "no partition has a leader"
    for task in asked:
        answer = task.result()
        if isinstance(answer, str):
            why = answer
        else:
            ends |= answer
    if len(ends) < len(partitions):
        client.force_metadata_update()  # leaders may have changed
        if not ends:
            raise NoBrokerError(why)
    return ends


async def _ask(client: AIOKafkaClient, broker: int, partitions: Collection[Partition]) -> dict[Partition, Offset] | str:
    """Return the ends of a broker's partitions, or why it does not answer."""
    by_topic: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for partition in partitions:
        by_topic[partition.topic].append((partition.number, LATEST))
    try:
        answer: Any = await client.send(broker, OffsetRequest(NO_REPLICA, READ_COMMITTED, list(by_topic.items())))
    except (KafkaError, OSError, TimeoutError) as error:
        return f"broker {broker}: {words(error)}"
    return {
        Partition(topic, number): Offset(offset)
        for topic, found in answer.topics
        for number, code, _timestamp, offset, *_ in found
        if not code
    }

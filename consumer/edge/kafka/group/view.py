"""Reads a group's members and its topics' partition counts, without joining. Changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code

from consumer.edge.kafka.clients import client_of, close, partition_numbers
from consumer.edge.kafka.connection import (
    REFUSALS,
    KafkaConnection,
    KafkaRefusedError,
    KafkaUnreachableError,
    reach,
    refused,
    words,
)

ASK_SECONDS = 15.0
ASK_AGAIN_SECONDS = 0.2
UUID_LENGTH = 36


async def members_of(connection: KafkaConnection, group: str) -> frozenset[str]:
    """Return the IDs of the group's members now; none for a group that does not exist.

    Raises:
        KafkaRefusedError: the brokers refuse us.
        KafkaUnreachableError: none answers.
    """
    async with _asking(connection) as admin:
        while True:
            try:
                return await _members(admin, group)
            except KafkaError as error:
                if not error.retriable:
                    raise
            await asyncio.sleep(ASK_AGAIN_SECONDS)  # the group's coordinator moves, or a new cluster has none yet


async def _members(admin: AIOKafkaAdminClient, group: str) -> frozenset[str]:
    members: set[str] = set()
    for answer in await admin.describe_consumer_groups([group]):
        for code, _group, _state, _kind, _protocol, described, *_ in answer.groups:
            if code:
                raise for_code(code)(group)
            members.update(member[0] for member in described)
    return frozenset(members)


async def is_name_taken(connection: KafkaConnection, group: str, *, instance_id: str, by_others_than: str) -> bool:
    """Return whether another member has this static name in the group; False where no broker answers.

    A static member's ID is its name and something unique. Brokers tell the name itself only to newer clients.
    """
    try:
        members = await members_of(connection, group)
    except (KafkaRefusedError, KafkaUnreachableError):
        return False
    return any(is_static(member, instance_id) and member != by_others_than for member in members)


def is_static(member: str, instance_id: str) -> bool:
    """Return whether a member's ID belongs to a static name: it is the name, a hyphen and a UUID.

    So an ID of `worker-1` does not belong to `worker`.
    """
    name, unique = member[:-UUID_LENGTH], member[-UUID_LENGTH:]
    try:
        UUID(unique)
    except ValueError:
        return False
    return name == f"{instance_id}-"


async def partitions_of(connection: KafkaConnection, topics: Iterable[str]) -> Mapping[str, int]:
    """Return how many partitions each topic has, 0 where it does not exist; raises as `members_of` does."""
    async with _asking(connection) as admin:
        return {topic: len(await partition_numbers(client_of(admin), topic) or ()) for topic in topics}


@asynccontextmanager
async def _asking(connection: KafkaConnection) -> AsyncIterator[AIOKafkaAdminClient]:
    await reach(connection)
    admin = AIOKafkaAdminClient(**connection.client_arguments())
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await admin.start()
            yield admin
    except REFUSALS as error:
        raise refused(error, connection) from error
    except (KafkaError, OSError, TimeoutError) as error:
        message = f"the brokers at {connection} do not answer questions ({words(error)}): try again"
        raise KafkaUnreachableError(message) from error
    finally:
        await close(client_of(admin))  # its own close() waits for frozen brokers

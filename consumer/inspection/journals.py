"""Whose the journals are, before a service joins its group: one that was started on another's must not write. Reads only."""

import asyncio
from collections.abc import Iterable, Mapping

from consumer.core.journal.group import not_ours
from consumer.core.terms import Partition
from consumer.service.evidence import PartitionEvidence
from consumer.service.ports import TopicGoneError

LOOK_SECONDS = 10.0
"""What is not known by then is looked at when its partition is assigned: a leaderless one holds up nobody's start."""


class SharedJournalError(Exception):
    """The journals belong to another consumer group: neither could tell its own attempts from the other's."""


async def refuse_anothers(past: PartitionEvidence, partitions: Iterable[Partition], group: str) -> None:
    """Make sure that not all of the journals that belong to somebody belong to other groups.

    Where some are ours, it is no mistake in our settings: those of others stop when they are assigned, one by one.

    Raises:
        SharedJournalError: they do.
    """
    groups = await _groups(past, partitions)
    others = {partition: other for partition, other in groups.items() if other != group}
    if others and len(others) == len(groups):
        partition, other = next(iter(others.items()))
        raise SharedJournalError(f"partition {partition}: {not_ours(other, group)} (inspect --accept-all)")


async def _groups(past: PartitionEvidence, partitions: Iterable[Partition]) -> Mapping[Partition, str]:
    """Return whose the journals are, as far as they are anybody's and it can be known soon."""
    found: dict[Partition, str] = {}

    async def look(partition: Partition) -> None:
        try:
            group = await past.group(partition)
        except TopicGoneError:  # a journal that is yet to grow
            return
        if group is not None:
            found[partition] = group

    try:
        async with asyncio.timeout(LOOK_SECONDS), asyncio.TaskGroup() as tasks:
            for partition in partitions:
                tasks.create_task(look(partition), name=f"whose is the journal of {partition}")
    except TimeoutError:
        pass
    return found

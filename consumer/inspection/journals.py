"""Checks which group the journals belong to, before the service joins its own. Reads only.

A service that was started on another group's journals by mistake must not write to them.
"""

import asyncio
from collections.abc import Iterable, Mapping

from consumer.core.journal.stop import not_ours
from consumer.core.terms import Partition
from consumer.service.evidence import PartitionEvidence
from consumer.service.ports import TopicGoneError

LOOK_SECONDS = 10.0
"""Journals that were not read by then are checked when their partition is assigned: one without a leader must not delay the
start."""


class SharedJournalError(Exception):
    """The journals belong to another consumer group: neither group could tell its own attempts from the other's."""


async def refuse_foreign_journals(evidence: PartitionEvidence, partitions: Iterable[Partition], group: str) -> None:
    """Make sure that the journals do not all belong to other groups.

    If some are ours, the settings are right. Partitions with another group's journal then stop when they are assigned.

    Raises:
        SharedJournalError: all journals that belong to a group belong to another one.
    """
    groups = await _groups(evidence, partitions)
    others = {partition: other for partition, other in groups.items() if other != group}
    if others and len(others) == len(groups):
        partition, other = next(iter(others.items()))
        stop = not_ours(other, group)
        message = f"partition {partition}: {stop.why}: {stop.first}; {stop.accept} may this group have it (inspect --accept-all)"
        raise SharedJournalError(message)


async def _groups(evidence: PartitionEvidence, partitions: Iterable[Partition]) -> Mapping[Partition, str]:
    """Return the groups that the journals belong to, for those that belong to one and were read within `LOOK_SECONDS`."""
    found: dict[Partition, str] = {}

    async def look(partition: Partition) -> None:
        try:
            group = await evidence.group(partition)
        except TopicGoneError:  # the journal lacks this partition; it is added later
            return
        if group is not None:
            found[partition] = group

    try:
        async with asyncio.timeout(LOOK_SECONDS), asyncio.TaskGroup() as tasks:
            for partition in partitions:
                tasks.create_task(look(partition), name=f"group of the journal of {partition}")
    except TimeoutError:
        pass
    return found

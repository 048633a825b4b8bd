"""Retries the reading of a journal that a person has to make readable, and reports why. Reads nothing itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from consumer.core.journal.lane import Lane
from consumer.service.facts import Facts
from consumer.service.ports import RefusedError, TopicGoneError

READ_AGAIN_SECONDS = 5.0
"""How often to retry: a person may have created the topic or granted permissions."""

T = TypeVar("T")


class LaneDroppedError(Exception):
    """The partition is no longer ours, so its journal is not needed any more."""


async def until_readable(lane: Lane, read: Callable[[], Awaitable[T]], facts: Facts) -> T:
    """Return what `read` returns, once a lane's journal can be read.

    Raises:
        LaneDroppedError: it could not be read, and its lane was dropped meanwhile.
    """
    while True:
        try:
            found = await read()
        except (RefusedError, TopicGoneError) as error:
            await _wait(lane, f"its journal cannot be read: {error}", facts)
            continue
        if lane.journal_refused is not None:
            lane.journal_refused = None
            facts.writes_taken(lane.partition)
        return found


async def _wait(lane: Lane, why: str, facts: Facts) -> None:
    if lane.journal_refused is None and not lane.dropped:
        facts.writes_refused(lane.partition, why=why)
    lane.journal_refused = why
    await asyncio.sleep(READ_AGAIN_SECONDS)
    if lane.dropped:
        raise LaneDroppedError(lane.partition)

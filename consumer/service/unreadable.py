"""Retries the reading of what a person has to make readable, and reports why. Reads nothing itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple, TypeVar

from consumer.core.journal.lane import Lane
from consumer.service.facts import Facts
from consumer.service.ports import RefusedError, TopicGoneError

READ_AGAIN_SECONDS = 5.0
"""How often to retry: a person may have created the topic or granted permissions."""

T = TypeVar("T")


class Retried(NamedTuple):
    """What of a partition is tried again until it can be read."""

    why_stopped: Literal["journal_refused", "parked_refused"]
    """Where its lane says why it waits for a person."""
    sentence: str
    passing_errors: int
    """So many in a row stop nothing."""


JOURNAL = Retried("journal_refused", "its journal cannot be read", 0)
PARKED = Retried("parked_refused", "what is parked of it cannot be read", 1)
"""Of a log that stays too short, the consumer says so after a while; then the partition begins anew."""


class LaneDroppedError(Exception):
    """The partition is no longer ours, so nothing of it is needed any more."""


async def until_readable(lane: Lane, read: Callable[[], Awaitable[T]], facts: Facts, what: Retried = JOURNAL) -> T:
    """Return what `read` returns, once it can be read. Until then the partition waits for a person.

    Raises:
        LaneDroppedError: it could not be read, and its lane was dropped meanwhile.
    """
    errors = 0
    while True:
        try:
            found = await read()
        except (RefusedError, TopicGoneError) as error:
            errors += 1
            if errors > what.passing_errors:
                _stop(lane, what, f"{what.sentence}: {error}", facts)
            await asyncio.sleep(READ_AGAIN_SECONDS)
            if lane.dropped:
                raise LaneDroppedError(lane.partition) from error
            continue
        if getattr(lane, what.why_stopped) is not None:
            setattr(lane, what.why_stopped, None)
            facts.writes_taken(lane.partition)
        return found


def _stop(lane: Lane, what: Retried, why: str, facts: Facts) -> None:
    if getattr(lane, what.why_stopped) is None and not lane.dropped:
        facts.writes_refused(lane.partition, why=why)
    setattr(lane, what.why_stopped, why)

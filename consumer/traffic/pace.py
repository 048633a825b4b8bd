"""Publishes records at a given rate, or as fast as possible. Makes no records; the publisher sends them."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from itertools import islice

from consumer.traffic.publisher import Publishable, TrafficPublisher

RECORDS_AT_ONCE = 500
"""Small enough for smooth progress and for other tasks to run, large enough to be efficient."""
SHORTEST_WAIT_SECONDS = 0.002


async def in_batches(records: Iterable[Publishable]) -> AsyncIterator[Sequence[Publishable]]:
    """Yield a generator's records in batches, and let other tasks run in between."""
    source = iter(records)
    while some := list(islice(source, RECORDS_AT_ONCE)):
        yield some
        await asyncio.sleep(0)


async def publish_all(
    publisher: TrafficPublisher,
    batches: AsyncIterable[Sequence[Publishable]],
    *,
    per_second: float | None = None,
    on_progress: Callable[[int], None] = lambda _count: None,
) -> None:
    """Publish all records and return once they are acknowledged; `per_second` None means as fast as possible.

    `on_progress` is called with the number of records that were handed over since its last call. With a rate, the n-th
    record goes out n / rate seconds after the start, never before; a publisher that falls behind catches up.

    Raises:
        PublishError: a batch could not be published.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    handed_over = 0
    async for batch in batches:
        rest = batch
        while rest:
            due = len(rest)
            if per_second is not None:
                await asyncio.sleep(wait_seconds(handed_over, per_second, loop.time() - started))
                due = due_by_now(per_second, loop.time() - started) - handed_over
            some, rest = rest[:due], rest[due:]
            await publisher.publish(some)
            handed_over += len(some)
            on_progress(len(some))
            if per_second is not None:
                await publisher.push()
        if len(batch) < RECORDS_AT_ONCE:
            await publisher.push()  # a slow source: do not wait until a batch is full
    await publisher.finish()


def due_by_now(per_second: float, elapsed_seconds: float) -> int:
    """Return how many records may have gone out `elapsed_seconds` after the start; the first one goes at once."""
    return int(elapsed_seconds * per_second) + 1


def wait_seconds(handed_over: int, per_second: float, elapsed_seconds: float) -> float:
    """Return the seconds until the next record is due: 0 if it is, else at least SHORTEST_WAIT_SECONDS."""
    early_seconds = handed_over / per_second - elapsed_seconds
    return max(early_seconds, SHORTEST_WAIT_SECONDS) if early_seconds > 0 else 0.0

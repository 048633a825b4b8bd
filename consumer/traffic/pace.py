"""When each record goes out: at once, or so many a second. Never makes records, never publishes by itself."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice

from consumer.traffic.publisher import Publishable, Publisher

RECORDS_AT_ONCE = 500
"""Small enough that progress moves and other tasks get their turn, large enough to cost nothing."""
SHORTEST_WAIT_SECONDS = 0.002


async def publish_all(
    publisher: Publisher,
    records: Iterable[Publishable],
    *,
    per_second: float | None = None,
    on_progress: Callable[[int], None] = lambda _count: None,
) -> None:
    """Publish all records and return once they are acknowledged; `per_second` None means as fast as it goes.

    `on_progress` is told how many were handed over since it was last told. With a rate, the n-th record goes
    out n / rate seconds after the start and never before; a publisher that falls behind catches up.

    Raises:
        PublishError: a batch could not be published.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    source = iter(records)
    handed_over = 0
    while True:
        due = RECORDS_AT_ONCE
        if per_second is not None:
            due = min(due, int((loop.time() - started) * per_second) + 1 - handed_over)
        if due > 0:
            some = list(islice(source, due))
            if not some:
                break
            await publisher.publish(some)
            handed_over += len(some)
            on_progress(len(some))
        if per_second is not None:
            await publisher.push()
            wait_seconds = started + handed_over / per_second - loop.time()
            if wait_seconds > 0:
                await asyncio.sleep(max(wait_seconds, SHORTEST_WAIT_SECONDS))
        else:
            await asyncio.sleep(0)
    await publisher.finish()

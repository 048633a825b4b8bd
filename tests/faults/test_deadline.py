"""Promises about the time-out of a request: it ends at the last instant that was set, and no other cancellation is taken for it."""

import asyncio

import pytest

from consumer.edge.platform.deadline import Deadline

SOON, LATER, NEVER = 0.01, 0.05, 3_600.0
AMPLE_SECONDS = 30.0


async def wait_until(*instants: float) -> None:
    """Wait for nothing under a deadline that is moved to these instants, in turn."""
    async with asyncio.timeout(AMPLE_SECONDS):
        with Deadline() as deadline:
            for at in instants:
                deadline.set(at)
            await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("instants", [[LATER], [SOON, LATER], [NEVER, LATER], [NEVER, SOON, LATER]])
async def test_a_deadline_ends_its_block_at_the_instant_that_was_set_last(instants: list[float]) -> None:
    loop = asyncio.get_running_loop()
    began_at = loop.time()
    with pytest.raises(TimeoutError):
        await wait_until(*[began_at + seconds for seconds in instants])
    assert LATER <= loop.time() - began_at < AMPLE_SECONDS


async def test_a_task_that_is_cancelled_otherwise_stays_cancelled() -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(wait_until(loop.time() + NEVER))
        loop.call_later(SOON, task.cancel)
    assert task.cancelled()


async def test_what_ends_in_time_leaves_no_timer_that_cancels_its_task_later() -> None:
    loop = asyncio.get_running_loop()
    with Deadline() as deadline:
        deadline.set(loop.time() + SOON)
        deadline.set(loop.time() + LATER)
    with Deadline() as later:
        later.set(loop.time() + NEVER)
        fired = loop.create_future()
        loop.call_later(2 * LATER, fired.set_result, None)
        await fired

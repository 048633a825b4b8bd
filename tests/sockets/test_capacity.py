"""A platform that takes so much and no more: what the limits let through settles on that, over real sockets.

For half a minute, and with many capacities, in virtual time: `tests/core/platform/test_concurrency.py`, and
`tests/core/sending/test_stress.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from consumer.core.platform.concurrency import PROBE_AFTER
from consumer.core.policy import Policies, RatePolicy
from tests.service.events import event
from tests.sockets.stage import SOON, Stage, stage

AT_ONCE = 8
LATENCY_SECONDS = 0.05
AT_A_LOOK = 3
"""So many may be refused when the limit looks whether more goes: two as a rule, three where another one starts before the
first refusal is known. In made-up time it is less than a hundredth of all."""
SETTLING_REQUESTS = 250
LONE = replace(SOON, max_contacts=1)


TICK_SECONDS = 0.005
MADE_UP_SECONDS = 0.05
"""What is late by no more is made up for: a tenth of a second's worth may start at once."""


@dataclass(slots=True)
class Lost:
    """Time in which nothing of this process had its turn: what a limiter could not use, because it lets nothing pile up."""

    seconds: float = 0.0


@asynccontextmanager
async def watched() -> AsyncIterator[Lost]:
    """Count lost time while this is open: a busy machine takes hundreds of milliseconds at once."""
    lost, loop = Lost(), asyncio.get_running_loop()

    async def tick() -> None:
        while True:
            due_at = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            late = loop.time() - due_at
            lost.seconds += late if late > MADE_UP_SECONDS else 0.0

    async with asyncio.TaskGroup() as tasks:
        ticking = tasks.create_task(tick())
        yield lost
        ticking.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What so many requests came to."""

    per_second: float
    """Those that were taken, in the time that this process had."""
    refused: float
    """The share of the others."""
    in_flight: float
    """How many were out on average, as the service sees it: that depends on no machine's speed."""


async def measured(running: Stage, *, requests: int) -> Measured:
    """Watch so many requests from now on."""
    records = running.sandbox.platform.records
    before, begun_at = len(records.requests), running.clock.now().steady
    out: list[int] = []
    async with watched() as lost:
        while len(records.requests) < before + requests:
            await records.next_change().wait()
            out.append(running.pipeline.queue.in_flight)
    seconds = running.clock.now().steady - begun_at - lost.seconds
    refused = sum(not one.accepted for one in records.requests[before : before + requests])
    assert running.pipeline.queue.queued > 0, "there was always something to send"
    return Measured(
        per_second=(requests - refused) / seconds, refused=refused / requests, in_flight=sum(out) / len(out)
    )


async def test_requests_in_flight_settle_on_what_the_platform_takes_at_once() -> None:
    async with stage(Policies(default=LONE)) as running:
        running.answer({"fault": "capacity", "atOnce": AT_ONCE}, {"fault": "latency", "seconds": LATENCY_SECONDS})
        running.publish([event(1 + number % 4, number) for number in range(1_000)])
        await measured(running, requests=SETTLING_REQUESTS)
        settled = await measured(running, requests=420)
    assert settled.in_flight >= 0.9 * AT_ONCE
    assert settled.refused <= AT_A_LOOK / PROBE_AFTER


async def test_a_rate_limit_uses_what_the_platform_takes_in_a_second_and_no_more() -> None:
    rate = 60.0
    async with stage(Policies(default=LONE, rate=RatePolicy(requests_per_second=rate))) as running:
        running.answer({"fault": "capacity", "perSecond": rate})
        running.publish([event(1 + number % 4, number) for number in range(300)])
        await measured(running, requests=10)
        settled = await measured(running, requests=120)
    assert settled.per_second >= 0.9 * rate
    assert settled.refused <= 0.01

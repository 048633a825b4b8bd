"""A platform that takes so much and no more: what the limits let through settles on that, over real sockets.

For half a minute, and with many capacities, in virtual time: `tests/core/platform/test_concurrency.py`, and
`tests/core/sending/test_stress.py`.
"""

from dataclasses import replace

from consumer.core.policy import Policies, RatePolicy
from tests.service.events import event
from tests.sockets.stage import SOON, Stage, stage

AT_ONCE = 8
LATENCY_SECONDS = 0.05
SETTLING_REQUESTS = 250
LONE = replace(SOON, max_contacts=1)


async def measured(running: Stage, *, requests: int) -> tuple[float, float]:
    """Return requests taken in a second, and the share of those that were refused, over so many requests from now on."""
    records = running.sandbox.platform.records
    before, begun_at = len(records.requests), running.clock.now().steady
    while len(records.requests) < before + requests:
        await records.next_change().wait()
    seconds = running.clock.now().steady - begun_at
    refused = sum(not one.accepted for one in records.requests[before:])
    assert running.pipeline.queue.queued > 0, "there was always something to send"
    return (requests - refused) / seconds, refused / requests


async def throughput(policies: Policies, *, requests: int) -> tuple[float, float]:
    """The same of a service with such limits, once they have settled on a platform that takes 8 at once."""
    async with stage(policies) as running:
        running.answer({"fault": "capacity", "atOnce": AT_ONCE}, {"fault": "latency", "seconds": LATENCY_SECONDS})
        running.publish([event(1 + number % 4, number) for number in range(2_000)])
        await measured(running, requests=SETTLING_REQUESTS)
        return await measured(running, requests=requests)


async def test_requests_in_flight_settle_on_what_the_platform_takes_at_once() -> None:
    told = Policies(default=LONE, max_concurrency=AT_ONCE, reserved_concurrency=0, adaptive_concurrency=False)
    at_best, _ = await throughput(told, requests=60)
    taken, refused = await throughput(Policies(default=LONE), requests=400)
    assert taken >= 0.9 * at_best
    assert refused <= 0.01


async def test_a_rate_limit_uses_what_the_platform_takes_in_a_second_and_no_more() -> None:
    rate = 60.0
    async with stage(Policies(default=LONE, rate=RatePolicy(requests_per_second=rate))) as running:
        running.answer({"fault": "capacity", "perSecond": rate})
        running.publish([event(1 + number % 4, number) for number in range(300)])
        await measured(running, requests=10)
        taken, refused = await measured(running, requests=120)
    assert taken >= 0.9 * rate
    assert refused <= 0.01

"""A crowd of facts does not keep the event loop to itself."""

import asyncio
from functools import partial

from consumer.core.terms import Now
from consumer.service.engine import FACTS_SECONDS
from tests.service.events import urgent
from tests.sockets.stage import stage

FACT_SECONDS = FACTS_SECONDS / 2
FACTS = 20


async def test_other_tasks_have_their_turn_between_facts_that_take_long_and_the_order_of_those_stays() -> None:
    async with stage() as running:
        applied: list[int] = []
        inbox = running.service._inbox  # noqa: SLF001 - facts that take as long as the test says

        def fact(number: int, _now: Now) -> None:
            applied.append(number)
            running.clock.ahead_seconds += FACT_SECONDS
            if number == 0:
                inbox.tell(partial(fact, FACTS))  # what comes meanwhile is behind all that was there

        for number in range(FACTS):
            inbox.tell(partial(fact, number))
        most = 0
        while len(applied) <= FACTS:
            before = len(applied)
            await asyncio.sleep(0)
            most = max(most, len(applied) - before)
        assert most == 2
        assert applied == list(range(FACTS + 1))
        (result,) = await running.sent(urgent(1, 1))
        assert result["status"] == "accepted"

"""An event whose time comes settles within a second of it, whatever it waits for; over real sockets, on a clock put forward."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from consumer.core.platform.access import AccessState
from consumer.core.platform.control import CampaignHold, ControlRecord, key_of, value_of
from consumer.core.terms import Now
from tests.service.events import ago, urgent
from tests.sockets.stage import Stage, stage

LIVES_SECONDS = 60.0
WAITS = 1
"""The campaign of the event whose time comes."""


async def held(running: Stage, campaign: int | None) -> None:
    def hold(now: Now) -> None:
        said = CampaignHold(
            campaign_id=campaign, reject=False, reason="r", operator="anna", since=now.wall, held_since=now.wall
        )
        running.pipeline.stops.heard([ControlRecord(0, 0, key_of(said), value_of(said))], now.steady, now)

    await running.service._inbox.ask(hold)  # noqa: SLF001 - as if it had been read from the control topic


async def campaign_held(running: Stage) -> None:
    await held(running, WAITS)


async def everything_held(running: Stage) -> None:
    await held(running, None)


async def down(running: Stage) -> None:
    await running.sandbox.__aexit__(None, None, None)


async def asked(running: Stage, state: AccessState, *campaigns: int) -> None:
    """Let requests of these campaigns be answered as the platform does now, and see what that has come to."""
    running.publish([urgent(campaign, campaign) for campaign in campaigns])
    for campaign in campaigns:
        await running.until_asked(campaign)
    assert running.pipeline.access.state(running.clock.now()) is state


async def campaign_throttled(running: Stage) -> None:
    running.answer({"fault": "status", "status": 429, "retryAfterSeconds": 3_600})
    await asked(running, AccessState.OPEN, WAITS)


async def platform_throttled(running: Stage) -> None:
    running.answer({"fault": "status", "status": 503, "retryAfterSeconds": 3_600})
    await asked(running, AccessState.PAUSED, 2)


async def stopped(running: Stage) -> None:
    running.answer({"fault": "status", "status": 401})
    await asked(running, AccessState.STOPPED, 2)


async def breaker_open(running: Stage) -> None:
    running.answer({"fault": "status", "status": 500})
    running.publish([urgent(campaign, campaign) for campaign in range(2, 14)])
    access = running.pipeline.access
    assert await running.service.engine.until(lambda: not access.breaker.is_closed, seconds=10.0)
    assert access.state(running.clock.now()) is AccessState.FAILING


TROUBLES: dict[str, Callable[[Stage], Awaitable[None]]] = {
    "the platform is down": down,
    "its campaign is throttled": campaign_throttled,
    "the platform is throttled": platform_throttled,
    "the key is refused": stopped,
    "the breaker is open": breaker_open,
    "its campaign is held": campaign_held,
    "everything is held": everything_held,
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
async def test_an_event_expires_within_a_second_of_its_time_and_not_before(
    trouble: Callable[[Stage], Awaitable[None]],
) -> None:
    async with stage() as running:
        await trouble(running)
        expires_at = ago(-LIVES_SECONDS)
        known = len(running.seen(WAITS))
        places = running.publish([urgent(WAITS, 100, expiresAt=expires_at)])
        await running.until_read(places)
        ends_at = datetime.fromisoformat(expires_at).timestamp()
        await running.forward(ends_at - 0.5 - running.clock.now().wall)
        assert not running.results.at.keys() & set(places)
        await running.forward(ends_at + 0.3 - running.clock.now().wall)
        (result,) = await running.until(places)
        assert (result["status"], result["reason"], result["attempts"]) == ("expired", "deadline", 0)
        late = datetime.fromisoformat(result["completedAt"]).timestamp() - ends_at
        assert 0.0 <= late <= 1.0
        assert len(running.seen(WAITS)) == known, "no request started for it"

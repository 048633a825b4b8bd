"""`Retry-After` over a real socket: both forms, to the second; whom it binds, and which values are not obeyed."""

from email.utils import formatdate

import pytest

from consumer.core.platform.access import AccessState
from tests.service.events import urgent
from tests.sockets.stage import Stage, stage

SAID_AT = 1_900_000_000
"""What the answers' own `Date` says, where one stands beside a date: dates are compared with it, not with our clock."""

A_LITTLE_SECONDS = 0.05
A_DAY_SECONDS = 86_400.0


def dated(seconds: float) -> dict[str, str]:
    return {"Date": formatdate(SAID_AT, usegmt=True), "Retry-After": formatdate(SAID_AT + seconds, usegmt=True)}


async def asked_to_wait(running: Stage, status: int, headers: dict[str, str]) -> tuple[list[tuple[int, int]], float]:
    """Let a request of campaign 1 be answered so; return its event's place, and by when at the latest that was known."""
    running.answer({"fault": "status", "status": status, "headers": headers, "times": 1})
    places = running.publish([urgent(1, 10)])
    await running.until_asked(1)
    return places, running.clock.now().steady


async def is_let_go_after(
    running: Stage, places: list[tuple[int, int]], begun: tuple[float, float], seconds: float
) -> None:
    """See that nothing of campaign 1 starts before so many seconds have passed, and that it does then.

    `begun` says when the answer cannot have come yet, and when it must have been there.
    """
    earliest, latest = begun
    await running.forward(earliest + seconds - A_LITTLE_SECONDS - running.clock.now().steady)
    assert running.pipeline.queue.in_flight == 0
    assert len(running.seen(1)) == 1
    await running.forward(latest + seconds + A_LITTLE_SECONDS - running.clock.now().steady)
    (result,) = await running.until(places)
    assert (result["status"], result["attempts"], len(running.seen(1))) == ("accepted", 2, 2)


EXACTLY = {
    "seconds": ({"Retry-After": "30"}, 30.0),
    "seconds and a fraction": ({"Retry-After": "1.5"}, 1.5),
    "a date": (dated(30), 30.0),
    "more than a day": ({"Retry-After": "1e9"}, A_DAY_SECONDS),
    "for ever": ({"Retry-After": "inf"}, A_DAY_SECONDS),
    "a date far away": (dated(1e9), A_DAY_SECONDS),
}


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("headers, seconds", EXACTLY.values(), ids=EXACTLY)
async def test_it_is_obeyed_to_the_second_and_for_a_day_at_most(
    status: int, headers: dict[str, str], seconds: float
) -> None:
    async with stage() as running:
        earliest = running.clock.now().steady
        places, latest = await asked_to_wait(running, status, headers)
        await is_let_go_after(running, places, (earliest, latest), seconds)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": said} for said in ("0", "-5", "nan", "soon", "", "Wed, 99 Nov 2026 10:00:30 GMT")] + [dated(-60)],
    ids=["none", "less than none", "no number", "no date", "nothing", "an impossible date", "a date that is over"],
)
async def test_what_is_past_or_no_time_at_all_leaves_the_usual_back_off(status: int, headers: dict[str, str]) -> None:
    async with stage() as running:
        places, _ = await asked_to_wait(running, status, headers)
        (result,) = await running.until(places)
        assert (result["status"], result["attempts"]) == ("accepted", 2)


async def test_that_of_a_429_binds_its_campaign_and_nobody_else() -> None:
    async with stage() as running:
        earliest = running.clock.now().steady
        places, latest = await asked_to_wait(running, 429, {"Retry-After": "600"})
        (other,) = await running.sent(urgent(2, 20))
        assert other["status"] == "accepted"
        await is_let_go_after(running, places, (earliest, latest), 600.0)


async def test_that_of_a_503_binds_everybody() -> None:
    async with stage() as running:
        earliest = running.clock.now().steady
        places, latest = await asked_to_wait(running, 503, {"Retry-After": "600"})
        others = running.publish([urgent(2, 20)])
        await running.forward(1.0)
        assert running.pipeline.access.state(running.clock.now()) is AccessState.PAUSED
        await is_let_go_after(running, places, (earliest, latest), 600.0)
        (other,) = await running.until(others)
        assert (other["status"], other["attempts"], len(running.seen(2))) == ("accepted", 1, 1)

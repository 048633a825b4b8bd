"""A rate of the whole group, by two processes of which one is killed: what is let go to the platform never exceeds it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from consumer.edge.clock import SystemClock
from tests.chaos.journal import read_journal
from tests.service.events import event, written
from tests.service.harness import Instance, Stage, stage_on
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

RATE = 40.0
PARTITIONS = 4
EVENTS = 1_000
SETTINGS = {
    "DELIVERY__RATE_LIMIT__REQUESTS_PER_SECOND": f"{RATE:g}",
    "WINDOW__DURATION": "0",
    "WINDOW__MAX_CONTACTS": "1",
    "KAFKA__SESSION_TIMEOUT": "3s",
}
BURST_SECONDS = 0.1
"""No more than so many seconds' worth comes beyond the rate."""
ROUNDED = 0.1
"""Two processes count by clocks of their own that are no wall clocks."""
WHOLE = 0.75
"""Of the rate: far more than an instance's half. That all of it is used is shown in made-up time; here a busy machine may
keep a process from its core for longer than a limiter makes up for."""
MEASURED = 110
"""Requests over which a rate is measured: some three seconds."""


async def requests_until(stage: Stage, count: int) -> list[float]:
    """Return when each request came, in order, once there are so many."""
    await stage.ask.wait(requests=count, timeout_seconds=30)
    return sorted(request.first_byte_at for request in await stage.ask.requests())


async def starts_of(stage: Stage) -> list[float]:
    """Return when each request was let go, in order, as the journals say of both processes.

    The limits hold for these instants. On a busy machine, what was let go one after the other comes together.
    """
    entries = [entry for entry in await read_journal(stage) if entry.kind == "intent" and entry.counts]
    return sorted(entry.fields["intended_at"] for entry in entries)


def most_beyond(times: Sequence[float], rate: float) -> float:
    """Return by how many requests the worst stretch of time exceeds a rate."""
    ahead = [number - rate * at for number, at in enumerate(times)]
    return max(later - earlier for number, earlier in enumerate(ahead) for later in ahead[number:])


def rate_of(times: Sequence[float]) -> float:
    return (len(times) - 1) / (times[-1] - times[0])


async def until_in_force(instance: Instance, rate: float) -> None:
    """Return once an instance has this share of the rate."""

    async def has_it() -> bool:
        found: float = (await instance.status())["limits"]["requests_per_second"]
        return found == rate

    await eventually(has_it, within_seconds=30.0, what=f"{rate:g} requests a second in force in {instance.url}")


async def test_two_instances_keep_one_rate_while_one_of_them_is_killed_and_the_other_takes_over(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=PARTITIONS) as stage:
        killed, survivor = await stage.start(SETTINGS), await stage.start(SETTINGS)
        for instance in (killed, survivor):
            await until_in_force(instance, RATE / 2)
        await stage.publish(
            [written(event(1 + number % 5, number), partition=number % PARTITIONS) for number in range(EVENTS)]
        )
        await requests_until(stage, MEASURED)

        await killed.kill()
        killed_at = SystemClock().now().wall
        await until_in_force(survivor, RATE)
        alone_at = SystemClock().now().wall
        taken_over = len(await requests_until(stage, 0))
        came = await requests_until(stage, taken_over + MEASURED)
        went = await starts_of(stage)

        assert all(start <= at for start, at in zip(went, came, strict=False)), "none came that was not let go before"
        allowed = RATE * BURST_SECONDS + ROUNDED
        assert most_beyond(went, RATE) <= allowed
        assert rate_of(went[10:MEASURED]) >= WHOLE * RATE
        handed_back = survivor.lines("partitions handed back")[-1]["timestamp"]
        handed_back_at = datetime.fromisoformat(handed_back).timestamp()
        alone = [at for at in went if killed_at < at < handed_back_at]
        assert most_beyond(alone, RATE / 2) <= allowed, "nobody takes the share of partitions without an owner"
        assert rate_of([at for at in went if at > alone_at][10:]) >= WHOLE * RATE

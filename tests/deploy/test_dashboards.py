"""Every query of every panel is answered by a real Prometheus that scrapes the real service, under load and in trouble."""

from collections.abc import Sequence
from pathlib import Path

from tests.deploy.prometheus import Prometheus, Target, prometheus_on
from tests.service.events import event, urgent, written
from tests.service.harness import Instance, Stage, stage_on
from tests.service.test_urgent_topics import create_urgent_topic
from tests.support.cluster import Cluster
from tests.support.dashboards import Asked, asked
from tests.support.eventually import eventually

RANGE = "30s"
"""Longer than the whole test: what has happened is in it."""

BUFFER = 300
"""Three times as many events wait for a platform that does not answer: what has no room is parked, and read again."""

SECONDS = 20.0
"""Within this, two scrapes have seen whatever has happened."""


async def until_answered(prometheus: Prometheus, queries: Sequence[Asked]) -> None:
    """Return once every query has had an answer; name those that have none."""
    left = list(queries)

    async def look() -> bool:
        left[:] = [query for query in left if not await prometheus.query(query.expression)]
        return not left

    try:
        await eventually(look, within_seconds=SECONDS, what="an answer to every query")
    except TimeoutError:
        assert left == []
        raise


async def until_read_again(stage: Stage, service: Instance) -> None:
    """Let more events come than the buffer holds while the platform is silent, and have them sent."""
    await stage.ask.set_faults({"fault": "hold", "campaign": 7})
    places = await stage.publish([written(event(7, 1_000 + person)) for person in range(3 * BUFFER)])

    async def parked() -> bool:
        return bool((await service.status())["buffer"]["parked"])

    await eventually(parked, within_seconds=SECONDS, what="parked records")
    await stage.ask.clear_faults()
    await stage.results.until(places)


async def in_trouble(stage: Stage, service: Instance) -> None:
    """Let everything happen that a panel tells of: acceptances, refusals, a lost answer, a retry, records that are none.

    And more events than the buffer holds.
    """
    places = await stage.publish([written(event(7, person)) for person in range(24)])
    places += await stage.publish([written(urgent(8, person)) for person in range(4)])
    await stage.results.until(places)
    await until_read_again(stage, service)
    await stage.ask.set_faults({"fault": "status", "status": 500, "times": 1})
    places = await stage.publish([written(event(7, 101))])
    await stage.results.until(places)
    await stage.ask.set_faults({"fault": "status", "status": 404, "times": 1})
    places = await stage.publish([written(event(9, 102, expireAt="soon")), written(b"{")])
    await stage.results.until(places)
    await stage.ask.clear_faults()


async def test_every_query_of_every_panel_is_answered(kafka: Cluster, tmp_path: Path) -> None:
    queries = list(asked(rate_interval=RANGE))
    async with stage_on(kafka, tmp_path) as stage:
        await create_urgent_topic(stage)
        settings = {"BUFFER__MAX_EVENTS": str(BUFFER), "KAFKA__URGENT_TOPICS": f"{stage.events}-urgent"}
        service = await stage.start(settings)
        target = Target(url=service.url, labels={"group": stage.group})
        async with prometheus_on(tmp_path, targets=[target]) as prometheus:
            await prometheus.until_scraped()
            await in_trouble(stage, service)
            await until_answered(prometheus, queries)
        assert await service.stop() == 0

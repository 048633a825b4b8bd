"""Instances with a name of their own keep their partitions across a restart, and two with one name are told so."""

from pathlib import Path

from tests.service.events import urgent, written
from tests.service.harness import stage_on
from tests.support.cluster import Cluster


def named(name: str) -> dict[str, str]:
    return {"KAFKA__GROUP_INSTANCE_ID": name}


async def test_a_rolling_restart_moves_no_partition(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=4) as stage:
        stays, restarted = await stage.start(named("a")), await stage.start(named("b"))
        await stays.until_owns(2)
        await restarted.until_owns(2)
        before = {partition["partition"] for partition in (await restarted.status())["partitions"]}
        told = len(stays.lines("partitions assigned"))
        assert await restarted.stop() == 0

        restarted = await stage.start(named("b"))
        await restarted.until_owns(2)

        after = {partition["partition"] for partition in (await restarted.status())["partitions"]}
        assert after == before
        assert len(stays.lines("partitions assigned")) == told
        await stage.results.until(await stage.publish([written(urgent(6, n), partition=n) for n in range(4)]))


async def test_a_process_that_starts_under_the_name_of_another_takes_its_place_and_that_one_ends_and_says_why(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        first = await stage.start(named("same"))
        second = await stage.start(named("same"))
        assert await first.ended() == 1
        assert "CAMPAIGN_KAFKA__GROUP_INSTANCE_ID=same: another process is a member of group" in first.tail()

        await stage.results.until(await stage.publish([written(urgent(6, n)) for n in range(4)]))
        assert len(second.lines("partitions assigned")) == 1, "nobody has taken its place"
        assert second.exit_code is None
        assert (await stage.account()).repeats == 0

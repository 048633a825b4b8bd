"""Owners that are none any more: frozen past their session, claimed away, cut off. They send nothing late."""

import signal
from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.arithmetic import RecordPlace
from tests.chaos.held_server import HeldServer
from tests.chaos.journal import forge_claim, undecided
from tests.chaos.judge import judge
from tests.chaos.load import LATENCY, SETTINGS, Load
from tests.service.harness import START_SECONDS, Instance, Stage, stage_on
from tests.support.eventually import eventually

PARTITIONS = 4


async def test_a_frozen_owner_posts_nothing_that_was_proven_long_ago_when_it_wakes(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=PARTITIONS) as stage, HeldServer(stage.sandbox.url) as held:
        await stage.ask.set_faults(LATENCY)
        sleeper = await stage.start({**SETTINGS, "API__URL": held.url, "API__CONNECT_TIMEOUT": "60s"})
        successor = await stage.start(SETTINGS)
        for instance in (sleeper, successor):
            await instance.until_owns(PARTITIONS // 2)
        async with Load(stage, per_second=300):
            await successor.until_settled(100)
            proven = await until_undecided_by(stage, sleeper)
            sleeper.send(signal.SIGSTOP)
            await held.open()  # when it wakes, its connection is there, and its proof is old
            await successor.until_owns(PARTITIONS)
            await stage.results.until(proven)
            sleeper.send(signal.SIGCONT)
            await sleeper.until_owns(PARTITIONS // 2)
            await sleeper.until_settled(100)
        await stage.results.until(stage.published)

        assert sleeper.lines("partition lost") or sleeper.lines("partitions handed back")
        await judge(stage)


async def until_undecided_by(stage: Stage, instance: Instance) -> frozenset[RecordPlace]:
    """The records of an instance that stand in an open attempt: it waits for a connection to send them."""
    owned = {partition["partition"] for partition in (await instance.status())["partitions"]}

    async def some() -> frozenset[RecordPlace]:
        return frozenset(place for place in await undecided(stage) if place.partition in owned)

    return await eventually(some, within_seconds=START_SECONDS, what="an intent of a send that waits")


async def test_a_late_claim_of_a_former_owner_costs_a_moment_and_nobody_a_text(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=2) as stage:
        await stage.ask.set_faults(LATENCY)
        owner = await stage.start(SETTINGS)
        await owner.until_owns(2)
        async with Load(stage, per_second=300):
            await owner.until_settled(200)
            await forge_claim(stage, 1)
            lost = await owner.until_logged("partition lost")
            await owner.until_owns(2)
        await stage.results.until(stage.published)

        assert "a-former-owner" in str(lost)
        assert len(owner.lines("partition lost")) == 1
        assert await owner.stop() == 0
        await judge(stage)

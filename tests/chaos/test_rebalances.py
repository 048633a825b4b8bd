"""Instances that come and go without end, and a topic that grows under load: orderly changes double and doubt nobody."""

from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from tests.chaos.judge import judge
from tests.chaos.load import LATENCY, SETTINGS, Load
from tests.chaos.profile import STORM_ROUNDS
from tests.service.harness import stage_on


async def test_a_storm_of_rebalances_doubles_nobody_and_leaves_nobody_in_doubt(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=4) as stage:
        await stage.ask.set_faults(LATENCY)
        running = [await stage.start(SETTINGS), await stage.start(SETTINGS)]
        async with Load(stage, per_second=300):
            for _ in range(STORM_ROUNDS):
                running.append(await stage.start(SETTINGS))
                await running[-1].until_settled(50)
                assert await running.pop(0).stop() == 0
        await stage.results.until(stage.published)

        account = await judge(stage)
        assert account.by_status == {"accepted": len(stage.published)}
        assert account.repeats == account.marked == account.results_published_again == 0


async def test_a_topic_that_grows_is_read_whole_and_its_journal_grows_with_it(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=4, results_partitions=3) as stage:
        await stage.ask.set_faults(LATENCY)
        first, second = await stage.start(SETTINGS), await stage.start(SETTINGS)
        await first.until_owns(2)
        async with Load(stage, per_second=200):
            await first.until_settled(100)
            await stage.topics.grow(stage.events, partitions=8)
            for instance in (first, second):
                await instance.until_owns(4)
        await stage.results.until(stage.published)

        assert {place.partition for place in stage.results.at} == set(range(8))
        assert all(number == place.partition % 3 for place, number in stage.results.written_to.items())
        account = await judge(stage)
        assert account.by_status == {"accepted": len(stage.published)}
        assert account.repeats == account.marked == 0

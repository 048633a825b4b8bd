"""A rewind is an accident and a replay is intent: the one texts nobody, the other whoever got nothing, and no one else."""

from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from tests.chaos.tools import GROUPS, run_tool
from tests.service.events import urgent, written
from tests.service.harness import stage_on
from tests.service.planning import counts_of, planned

CAMPAIGN = 421
SETTINGS = {"DELIVERY__RETRY__MAX_ATTEMPTS": "2"}
OUTAGE = {"fault": "status", "status": 408, "campaign": CAMPAIGN}


async def test_a_group_rewound_by_kafkas_own_tool_texts_nobody_and_the_plan_of_its_range_knows_who_got_nothing(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=2) as stage:
        service = await stage.start(SETTINGS)
        good = await stage.publish([written(urgent(11, n), partition=n % 2) for n in range(4)])
        await stage.results.until(good)
        await stage.ask.set_faults(OUTAGE)
        failed = await stage.publish([written(urgent(CAMPAIGN, n), partition=n % 2) for n in range(4)])
        await stage.results.until(failed)
        await stage.ask.set_faults()
        assert await service.stop() == 0
        texts = await stage.texts()

        of_group = ("--group", stage.group, "--topic", stage.events)
        await run_tool(breakable, GROUPS, *of_group, "--reset-offsets", "--to-earliest", "--execute")
        before = await planned(stage, "--json")
        service = await stage.start(SETTINGS)
        await service.until_owns(stage.partitions)
        told = service.lines("the group was rewound, without effect")
        assert len(told) == stage.partitions
        assert all("campaign-consumer replay plan" in line["cure"] for line in told)
        assert await service.stop() == 0

        assert await stage.texts() == texts
        after = await planned(stage, "--json", "--from", "-1h")
        for found in (before, after):
            assert found.places == set(failed)
            assert counts_of(found.plan) == {"selected": 8, "already_accepted": 4, "would_send": 4, "people": 4}
        assert before.plan.digest == after.plan.digest

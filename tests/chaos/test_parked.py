"""Kills while most is parked: what was read past is neither lost, nor sent twice, nor before its person's earlier events."""

from collections import Counter
from pathlib import Path

from consumer.demo.apache_kafka import ApacheKafka
from tests.chaos.judge import assert_in_order, judge
from tests.chaos.load import HOLD, RESEND, SEAT, SETTINGS, SLOTS
from tests.service.events import event, written
from tests.service.harness import Instance, stage_on
from tests.support.eventually import eventually
from tests.support.records import Written

SMALL = {**SETTINGS, **SEAT, "BUFFER__MAX_EVENTS": "300"}
SLOW = {"fault": "latency", "seconds": [0.2, 0.4]}
PARTITIONS, PERSONS, EACH = 2, 200, 12
PARKED = (1_500, 700)
"""So many are parked at each kill, at least."""
REPEATED = 60


def backlog() -> tuple[list[Written], list[Written]]:
    """Many events of each person, some immediate, and records that say once more what the last of them say."""
    campaigns = RESEND + HOLD
    records = [
        written(
            event(
                campaigns[person % len(campaigns)],
                300_000 + person,
                **({"priority": "immediate"} if (person + number) % 9 == 0 else {}),
            ),
            partition=person % PARTITIONS,
        )
        for number in range(EACH)
        for person in range(PERSONS)
    ]
    return records, records[-REPEATED:]


async def kill_at_work(instance: Instance, *, parked: int) -> None:
    """Kill an instance once so many are parked, and something is done."""

    async def most_is_parked() -> bool:
        return bool((await instance.status())["buffer"]["parked"] >= parked)

    await eventually(most_is_parked, within_seconds=20.0, what="most is parked")
    await instance.until_settled(SLOTS)
    await instance.kill()


async def test_what_is_parked_at_a_kill_has_one_outcome_each_and_keeps_its_order(
    breakable: ApacheKafka, tmp_path: Path
) -> None:
    async with stage_on(breakable, tmp_path, partitions=PARTITIONS) as stage:
        await stage.ask.set_faults(SLOW)
        once, again = backlog()
        await stage.publish([*once, *again])
        for parked in PARKED:
            await kill_at_work(await stage.start(SMALL), parked=parked)
        await stage.ask.clear_faults()
        last = await stage.start(SMALL)
        results = await stage.results.until(stage.published)

        assert Counter(result["status"] for result in results)["duplicate"] == REPEATED
        await judge(stage)
        await assert_in_order(stage)
        assert await last.stop() == 0

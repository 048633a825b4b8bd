"""An urgent topic beside the ordinary one: every tool knows it, and no backlog keeps its events waiting."""

from pathlib import Path

import orjson
import pytest

from consumer.demo.arithmetic import RecordPlace
from tests.service.auditing import audited
from tests.service.events import event, id_of, written
from tests.service.harness import PATIENT, Instance, Settings, Stage, stage_on
from tests.service.planning import planned
from tests.service.test_inspect import ran
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import write

CODES, BULK = 6, 7
"""Campaigns."""
BULKS = (7, 8, 9, 10, 11)
BUFFER = 500
FULL: Settings = {
    "BUFFER__MAX_EVENTS": str(BUFFER),
    "DELIVERY__MAX_CONCURRENCY": "64",
    "WINDOW__DURATION": "200ms",
}
"""Settings under which a backlog before a platform that does not answer fills the buffer, and not all slots."""
PROMISED = 5.0
"""Seconds, on a busy machine; nothing of the backlog is answered meanwhile, so that who waits for it waits for ever."""
URGENT_PARTITION = 1
"""What is published to the urgent topic goes here, and to partition 0 of the other: results name no topic in these tests."""


def settings_of(stage: Stage) -> Settings:
    """Name the urgent topic."""
    return {"KAFKA__URGENT_TOPICS": f"{stage.events}-urgent", "WINDOW__DURATION": "30s"}


async def create_urgent_topic(stage: Stage) -> None:
    """Let our own command create it, as operators do."""
    environment = stage.environment(settings_of(stage))
    code, said, complained = await ran("topics", "--partitions", "2", environment=environment)
    assert (code, complained) == (0, "")
    assert f"created: {stage.events}-urgent (urgent events)" in said
    assert f"created: {stage.events}-urgent-journal (journal)" in said


async def publish_urgent(stage: Stage, *events: dict[str, object]) -> list[RecordPlace]:
    """Publish to the urgent topic; where they stand."""
    records = [written(content, partition=URGENT_PARTITION) for content in events]
    places = [
        RecordPlace(*place) for place in await write(stage.kafka.bootstrap_servers, f"{stage.events}-urgent", records)
    ]
    stage.published.update(dict.fromkeys(places))
    return places


async def until_passed(service: Instance, topic: str, *, records: int) -> None:
    """Return once all of a backlog was read, and is in hand or parked."""

    async def passed() -> bool:
        parts = [one["lag_parts"] for one in (await service.status())["partitions"] if one["topic"] == topic]
        return all(each is not None and each["backlog"] == 0 and sum(each.values()) == records for each in parts)

    await eventually(passed, within_seconds=30.0, what=f"{records} records read")


async def test_every_tool_takes_the_urgent_topic_as_it_takes_the_others(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await create_urgent_topic(stage)
        settings = settings_of(stage)
        environment = stage.environment(settings)
        service = await stage.start(settings)
        refused = event(CODES, 2)
        await stage.ask.set_faults({"fault": "refuse_contact", "reference": id_of(refused)})
        await stage.publish([written(event(BULK, 1))])
        places = await publish_urgent(stage, event(CODES, 1), refused)
        places += await publish_urgent(stage, event(CODES, 3, priority="normal"))
        results = await stage.results.until(places[:2])
        await service.until_holds(2)

        assert [result["status"] for result in results] == ["accepted", "rejected"]
        assert {result["source"]["topic"] for result in results} == {f"{stage.events}-urgent"}
        assert {stage.results.written_to[place] for place in places[:2]} == {0}, "its number modulo the results topic's"
        seen = {(one["topic"], one["partition"]): one for one in (await service.status())["partitions"]}
        assert [(place, one["urgent"]) for place, one in sorted(seen.items())] == [
            ((stage.events, 0), False),
            ((f"{stage.events}-urgent", 0), True),
            ((f"{stage.events}-urgent", 1), True),
        ]
        waiting = {place: one["lag_parts"]["in_window"] for place, one in seen.items()}
        assert waiting == {(stage.events, 0): 1, (f"{stage.events}-urgent", 0): 0, (f"{stage.events}-urgent", 1): 1}

        await stage.ask.clear_faults()
        plan = str(tmp_path / "plan.json")
        assert (await planned(stage, "--event", id_of(refused), "--output", plan, settings=settings)).exit_code == 0
        code, said, complained = await ran("replay", "run", plan, "--yes", "--json", environment=environment)
        assert (code, orjson.loads(said)["published"]) == (0, 1), complained
        again = RecordPlace(URGENT_PARTITION, places[-1].offset + 1)
        (resent,) = await stage.results.until([again])
        assert (resent["status"], resent["source"]["topic"]) == ("accepted", f"{stage.events}-urgent")
        assert await service.stop() == 0

        code, said, complained = await ran("results", "--event", id_of(refused), "--json", environment=environment)
        assert (code, len(said.splitlines())) == (0, 2), complained
        code, said, complained = await ran("inspect", "--json", environment=environment)
        lags = {(one["topic"], one["partition"]): one["lag"] for one in orjson.loads(said)["partitions"]}
        assert (code, lags) == (0, dict.fromkeys(seen, 0)), complained
        proven = await audited(stage, "--json", "--complete", settings=settings)
        assert (proven.exit_code, proven.violations) == (0, set())
        assert proven.sum_of("records") == proven.sum_of("results") == 5


@pytest.mark.parametrize("priority, read_ahead", [("normal", "true"), ("immediate", "true"), ("normal", "false")])
async def test_a_backlog_that_fills_the_buffer_keeps_no_event_of_an_urgent_topic_waiting(
    kafka: Cluster, tmp_path: Path, priority: str, read_ahead: str
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await create_urgent_topic(stage)
        settings = {**settings_of(stage), **PATIENT, **FULL, "KAFKA__READ_AHEAD": read_ahead}
        service = await stage.start(settings)
        await stage.results.until(await publish_urgent(stage, event(CODES, 1)))
        await stage.ask.set_faults(*({"fault": "hold", "campaign": campaign} for campaign in BULKS))
        bulk = [event(BULKS[n % len(BULKS)], n, priority=priority) for n in range(4 * BUFFER)]
        await stage.publish(map(written, bulk))
        if read_ahead == "true":
            await until_passed(service, stage.events, records=len(bulk))
        else:
            await service.until_holds_at_least(BUFFER * 9 // 10)

        (code,) = await stage.results.until(await publish_urgent(stage, event(CODES, 2)), within_seconds=PROMISED)
        assert code["status"] == "accepted"
        assert len(stage.results.at) == 2, "nothing of the backlog has an outcome"

        await stage.ask.clear_faults()
        await stage.results.until_count(len(bulk) + 2)
        assert await service.stop() == 0
        assert (await stage.account()).by_status == {"accepted": len(bulk) + 2}

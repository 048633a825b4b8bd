"""What people see of lag while the service runs on a real broker: in parts that add up, and in seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from prometheus_client.parser import text_string_to_metric_families

from consumer.core.journal.takeover import OUR_MARK
from consumer.edge.clock import SystemClock
from tests.service.events import event, urgent, written
from tests.service.harness import PATIENT, Instance, Stage, stage_on
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import Written

SECONDS = 30.0
OLD_SECONDS = 500.0

Scraped = Mapping[str, Mapping[tuple[str, ...], float]]
"""Values by metric, then by partition, and part where there is one."""


async def scrape(service: Instance) -> Scraped:
    families = text_string_to_metric_families((await service.get("/metrics")).text)
    return {
        family.name: {
            tuple(sample.labels[name] for name in ("partition", "part") if name in sample.labels): sample.value
            for sample in family.samples
        }
        for family in families
        if family.name.startswith("campaign_lag")
    }


def parts_in(scraped: Scraped) -> dict[str, dict[str, float]]:
    """The parts of each partition's lag, which add up to it in this very scrape."""
    parts: dict[str, dict[str, float]] = {}
    for (number, part), value in scraped["campaign_lag_part_records"].items():
        parts.setdefault(number, {})[part] = value
    lags = {number: value for (number,), value in scraped["campaign_lag_records"].items()}
    assert {number: sum(values.values()) for number, values in parts.items()} == lags
    assert all(value >= 0 for values in parts.values() for value in values.values())
    return parts


async def stop_partition_0(stage: Stage) -> None:
    """A commit of ours, and no journal to be asked: a person must decide."""
    partition = TopicPartition(stage.events, 0)
    async with AIOKafkaConsumer(
        bootstrap_servers=stage.kafka.bootstrap_servers, group_id=stage.group, enable_auto_commit=False
    ) as consumer:
        consumer.assign([partition])
        await consumer.commit({partition: OffsetAndMetadata(2, OUR_MARK)})


def old(content: dict[str, object]) -> Written:
    record = written(content)
    aged_ms = int((SystemClock().now().wall - OLD_SECONDS) * 1000)
    return Written(value=record.value, key=record.key, partition=0, timestamp_ms=aged_ms)


async def test_the_parts_of_lag_add_up_in_every_scrape_and_a_stopped_partition_shows_its_own_as_blocked(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        await stage.publish([old(urgent(6, person)) for person in range(5)])
        await stop_partition_0(stage)
        service = await stage.launch({**PATIENT, "WINDOW__MAX_CONTACTS": "5"})
        service.url = (await service.until_logged("started"))["http_url"].rstrip("/")
        await stage.results.until(await stage.publish([written(urgent(6, 1), partition=1)]))

        async def both_are_known() -> bool:
            return parts_in(await scrape(service)).keys() == {"0", "1"}

        await eventually(both_are_known, within_seconds=SECONDS, what="the lag of both partitions")
        await stage.ask.set_faults({"fault": "hold", "campaign": 7})
        await stage.publish([written(event(7, person), partition=1) for person in range(10)])
        await stage.ask.wait(in_flight=2)
        places = await stage.publish([written(event(8 + person % 4, person), partition=1) for person in range(400)])
        seen: set[str] = set()

        async def all_settled() -> bool:
            parts = parts_in(await scrape(service))
            seen.update(part for part, value in parts.get("1", {}).items() if value)
            await stage.results.catch_up()
            return all(place in stage.results.at for place in places)

        await eventually(all_settled, within_seconds=SECONDS, what="all but the held requests has its result")
        assert "in_flight" in seen
        assert len(seen) > 1

        async def stopped_is_known() -> Scraped | None:
            now = await scrape(service)
            return now if ("0",) in now["campaign_lag_seconds"] else None

        now = await eventually(stopped_is_known, within_seconds=SECONDS, what="the age of the stopped partition's lag")
        parts = parts_in(now)
        assert {part: value for part, value in parts["0"].items() if value} == {"blocked": 3}
        assert OLD_SECONDS <= now["campaign_lag_seconds"]["0",] < OLD_SECONDS + SECONDS + 30
        assert {part: value for part, value in parts["1"].items() if value} == {"in_flight": 10}
        await check_status(service)
        await stage.ask.clear_faults()


async def check_status(service: Instance) -> None:
    """`/status` says the same, in total, and which campaign waits for what."""
    status: dict[str, Any] = await service.status()
    assert (status["lag"], sum(status["lag_parts"].values())) == (13, 13)
    assert (status["lag_parts"]["blocked"], status["lag_parts"]["in_flight"]) == (3, 10)
    assert status["lag_seconds"] >= OLD_SECONDS
    (waiting,) = status["waiting"]
    assert (waiting["campaign"], waiting["events"], waiting["why"]) == ("7", 10, "in_flight")
    assert status["oldest"]["in_flight"] == waiting["oldest_seconds"] > 0
    assert [request["contacts"] for request in status["requests"]] == [5, 5]
    assert {request["stage"] for request in status["requests"]} == {"posting"}

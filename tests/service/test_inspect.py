"""An operator's view of the group from outside, and what an operator decides: it holds, and it is seen at once."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from consumer.core.journal.takeover import OUR_MARK
from consumer.demo.arithmetic import RecordPlace
from tests.service.events import urgent, written
from tests.service.harness import Instance, Stage, stage_on
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import read_all

SECONDS = 30.0


async def inspect(stage: Stage, *arguments: str, answer: str = "") -> tuple[int, str, str]:
    """Run the command beside the service, with Kafka's settings alone; its exit code and what it printed."""
    environment = {name: value for name, value in stage.environment().items() if "_API__" not in name}
    return await ran("inspect", *arguments, environment=environment, answer=answer)


async def ran(*arguments: str, environment: Mapping[str, str], answer: str = "") -> tuple[int, str, str]:
    """Run a command; its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consumer", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
    )
    out, err = await process.communicate(answer.encode())
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return process.returncode, out.decode(), err.decode()


async def seen(stage: Stage) -> list[dict[str, Any]]:
    """What a script sees of each partition."""
    code, out, err = await inspect(stage, "--json")
    assert (code, err) == (0, "")
    document: dict[str, Any] = orjson.loads(out)
    assert document["group"] == stage.group
    partitions: list[dict[str, Any]] = document["partitions"]
    return partitions


async def move_the_group(stage: Stage, offsets: dict[int, int], *, metadata: str = "") -> None:
    """Commit as a tool does while nobody is there; with our mark, as a service of ours would have."""
    async with AIOKafkaConsumer(
        bootstrap_servers=stage.kafka.bootstrap_servers, group_id=stage.group, enable_auto_commit=False
    ) as consumer:
        partitions = {TopicPartition(stage.events, number): offset for number, offset in offsets.items()}
        consumer.assign(list(partitions))
        await consumer.commit({each: OffsetAndMetadata(offset, metadata) for each, offset in partitions.items()})


async def until_stopped(service: Instance) -> str:
    """Wait until a partition is stopped; what /readyz says of it."""
    service.url = (await service.until_logged("started"))["http_url"].rstrip("/")
    await service.until_logged("partition stopped")
    answer = await service.get("/readyz")
    assert answer.status_code == 503
    (reason,) = answer.json()["reasons"]
    return str(reason)


async def until_ready(service: Instance) -> None:
    async def ready() -> bool:
        return (await service.get("/readyz")).is_success

    await eventually(ready, within_seconds=SECONDS, what="the service is ready")


async def entries(stage: Stage, kind: str) -> list[dict[str, Any]]:
    journal = await read_all(stage.kafka.bootstrap_servers, stage.journal)
    every = [orjson.loads(entry.value or b"{}") | {"partition": entry.partition} for entry in journal]
    return [entry for entry in every if entry["kind"] == kind]


async def test_a_stopped_partition_starts_where_an_operator_says_under_the_running_service(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        stopped, other = f"{stage.events}:0", f"{stage.events}:1"
        places = await stage.publish([written(urgent(6, n), partition=n % 2) for n in range(10)])
        await move_the_group(stage, {0: 2}, metadata=OUR_MARK)  # a commit of ours, and no journal to be asked
        service = await stage.launch()
        reason = await until_stopped(service)
        assert reason.startswith(f"partition {stopped} is stopped: the journal has lost its beginning")
        assert "; cure: find out what happened to the journal topic; then decide with" in reason
        assert f"campaign-consumer inspect --accept {stopped}, which forgets what was sent before" in reason
        await stage.results.until([place for place in places if place.partition == 1])

        async def committed() -> bool:
            return bool((await seen(stage))[1]["committed"] == 5)

        await eventually(committed, within_seconds=SECONDS, what="the other partition is committed")
        first, second = await seen(stage)
        member = (await service.status())["member"]
        assert (first["state"], first["committed"], first["lag"]) == ("stopped", 2, 3)
        assert (second["state"], second["watermark"], second["lag"], second["unknown"]) == ("ordinary", 5, 0, 0)
        for partition in (first, second):
            assert (partition["owner"]["member"], partition["owner"]["inGroup"]) == (member, True)
        assert second["checkpoint"]["ageSeconds"] < SECONDS
        code, out, _ = await inspect(stage)
        assert code == 0
        assert f"{stopped} is stopped: the journal has lost its beginning" in out

        code, _, err = await inspect(stage, "--accept", other, "--yes")
        assert (code, err) == (1, f"{other} is not stopped: its state is ordinary\n")
        code, out, err = await inspect(stage, "--accept", stopped, answer="n\n")
        assert (code, err) == (1, f"{stopped} stays stopped; nothing was written\n")
        assert "It will start at offset 2 (committed: 2, log: 0 to 5). Up to 3 records" in out
        code, out, err = await inspect(stage, "--accept", stopped, answer="y\n")
        assert (code, err) == (0, "")
        assert f"{stopped} may start at offset 2" in out

        await stage.results.until([RecordPlace(0, offset) for offset in (2, 3, 4)])
        await until_ready(service)
        assert {place for place in stage.results.at if place.partition == 0} == {RecordPlace(0, n) for n in (2, 3, 4)}
        assert await service.stop() == 0
        assert (await seen(stage))[0]["state"] == "ordinary"


async def test_a_partition_accepted_from_its_beginning_starts_there_though_more_is_committed(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        partition = f"{stage.events}:0"
        places = await stage.publish([written(urgent(6, n)) for n in range(5)])
        await move_the_group(stage, {0: 9}, metadata=OUR_MARK)
        code, _, err = await inspect(stage, "--accept", partition, "--yes")
        assert code == 1
        assert err == (
            f"{partition} cannot start at offset 9: its log goes from 0 to 5; say where with --at: an offset, "
            "beginning or end\n"
        )
        assert (await inspect(stage, "--accept", partition, "--at", "beginning", "--yes"))[0] == 0
        (found,) = await seen(stage)
        assert (found["state"], found["owner"]) == ("accepted", None)
        settings = {"KAFKA__GROUP_INSTANCE_ID": "consumer-0"}  # its seat is kept for it: no session has to run out
        service = await stage.start(settings)
        await stage.results.until(places)
        await service.kill()

        await stage.start(settings)
        await stage.publish([written(urgent(6, 7))])
        await stage.results.until([RecordPlace(0, 5)])
        account = await stage.account()
        assert (account.accepted, account.repeats) == (6, 0)


async def test_a_group_that_a_tool_has_moved_is_seen_and_what_was_passed_over_stands_in_the_journal(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        before = await stage.publish([written(urgent(6, n), partition=n % 2) for n in range(6)])
        service = await stage.start()
        await stage.results.until(before)
        assert await service.stop() == 0
        for place in await stage.publish([written(urgent(6, n), partition=0) for n in range(6, 10)]):
            del stage.published[place]  # a tool passes them over
        await move_the_group(stage, {0: 7, 1: 0})
        forward, back = await seen(stage)
        assert (forward["state"], forward["watermark"]) == ("skipped", 7)
        assert "records from 3 up to 7 are never sent" in forward["why"]
        assert (back["state"], back["watermark"], back["lag"]) == ("rewound", 3, 0)

        service = await stage.start()
        after = await stage.publish([written(urgent(6, n), partition=n % 2) for n in range(10, 14)])
        await stage.results.until(after)
        service.send(signal.SIGTERM)
        assert await service.ended() == 0

        (skipped,) = await entries(stage, "skipped")
        assert (skipped["partition"], skipped["from"], skipped["to"]) == (0, 3, 7)
        account = await stage.account()
        assert (account.accepted, account.repeats) == (10, 0)
        assert {partition["state"] for partition in await seen(stage)} == {"ordinary"}


async def test_a_journal_recreated_under_a_running_service_stops_its_partition_until_an_operator_lets_it_start(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        partition = f"{stage.events}:0"
        service = await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, n)) for n in range(5)]))
        await stage.topics.delete(stage.journal)
        await stage.topics.create_named(stage.journal)
        await stage.publish([written(urgent(6, 7))])
        reason = await until_stopped(service)
        assert reason.startswith(f"partition {partition} is stopped: its journal ends before what was proven")
        assert (await seen(stage))[0]["state"] == "stopped"

        code, _, err = await inspect(stage, "--accept", partition, "--at", "5", "--yes")
        assert (code, err) == (0, "")
        await stage.results.until([RecordPlace(0, 5)])
        await until_ready(service)
        assert (await stage.account()).repeats == 0

"""Topics that do not take what the service writes: cut where that helps, else one partition waits, and goes on by itself."""

import os
from pathlib import Path

from tests.service.events import urgent, written
from tests.service.harness import Instance, stage_on
from tests.service.test_inspect import SECONDS
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import Written, read_all


async def reason_of(service: Instance) -> str:
    """What /readyz says once it is not content; /healthz is all the same."""

    async def said() -> str | None:
        answer = await service.get("/readyz")
        return None if answer.is_success else str(answer.json()["reasons"][0])

    reason = await eventually(said, within_seconds=SECONDS, what="/readyz names what is wrong")
    assert (await service.get("/healthz")).is_success
    return reason


async def test_a_dead_letter_too_large_for_its_topic_is_cut_and_the_service_goes_on(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        letters = await stage.topics.create("letters", settings={"max.message.bytes": "300000"})
        service = await stage.start({"KAFKA__DEAD_LETTER_TOPIC": letters})
        huge = Written(value=b"\xff" + os.urandom(310_000), partition=0)
        places = await stage.publish([written(urgent(6, 1)), huge, written(urgent(6, 2))])
        stage.published[places[1]] = "not_utf8"
        await stage.results.until(places)

        (letter,) = await read_all(kafka.bootstrap_servers, letters)
        assert letter.value is None
        assert dict(letter.headers)["dlq-truncated"] == b"value of %d bytes" % len(huge.value or b"")
        assert await service.stop() == 0
        assert (await stage.account()).accepted == 2


async def test_a_compacted_results_topic_stops_the_partition_of_a_record_without_a_key_until_it_is_mended(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        await stage.topics.alter(stage.results_topic, {"cleanup.policy": "compact"})
        service = await stage.start()
        keyless = await stage.publish([Written(value=written(urgent(6, 1)).value, partition=0)])
        reason = await reason_of(service)
        assert reason.startswith(f"partition {stage.events}:0 is stopped: topic '{stage.results_topic}' does not take")
        assert "without a key" in reason
        keyed = [Written(value=written(urgent(6, n)).value, key=b"k%d" % n, partition=1) for n in (2, 3)]
        await stage.results.until(await stage.publish(keyed))

        await stage.topics.alter(stage.results_topic, {"cleanup.policy": "delete"})
        await stage.results.until(keyless)
        await service.until_ready()
        assert await service.stop() == 0
        account = await stage.account()
        assert (account.accepted, account.repeats) == (3, 0)


async def test_a_journal_that_takes_no_entry_of_a_large_send_stops_its_partition_and_nobody_is_texted_twice(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.topics.alter(stage.journal, {"max.message.bytes": "700"})
        service = await stage.start()
        places = await stage.publish([written(urgent(6, n) | {"priority": "normal"}) for n in range(40)])
        reason = await reason_of(service)
        assert reason.startswith(
            f"partition {stage.events}:0 is stopped: the journal '{stage.journal}' takes no batch of"
        )
        assert reason.endswith("raise its max.message.bytes")

        await stage.topics.alter(stage.journal, {})
        await stage.results.until(places)
        assert await service.stop() == 0
        account = await stage.account()
        assert (account.accepted, account.repeats) == (40, 0)

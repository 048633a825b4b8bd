"""More than the buffer holds, and signals at awkward moments: memory is bounded, and every end is an orderly one."""

import re
import signal
from pathlib import Path

import pytest

from consumer.core.reading.buffer import LOW_WATER
from tests.service.events import event, id_of, urgent, written
from tests.service.harness import PATIENT, Instance, stage_on
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

BUFFER = 500
BACKLOG = 5_000


async def _until_full(service: Instance) -> None:
    async def full() -> bool:
        status = await service.status()
        assert status["buffer"]["events"] <= BUFFER
        paused = [partition["paused"] for partition in status["partitions"]]
        return status["buffer"]["events"] > LOW_WATER * BUFFER and all(paused)  # the first one may be through again

    await eventually(full, within_seconds=30.0, what="a full buffer, and all partitions paused")


async def test_a_backlog_larger_than_the_buffer_is_worked_through_without_leaving_the_group(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        events = [event(7, number) for number in range(BACKLOG)]
        await stage.ask.set_faults({"fault": "hold", "after": 1})
        await stage.publish([written(urgent(6, 1))])
        await stage.publish([written(content, partition=index % 2) for index, content in enumerate(events)])
        settings = {"BUFFER__MAX_EVENTS": str(BUFFER), "API__TIMEOUT": "15s", "KAFKA__READ_AHEAD": "false"}
        service = await stage.start(settings)
        await _until_full(service)
        before = await service.status()
        await stage.ask.clear_faults()
        await stage.results.until_count(BACKLOG + 1)

        after = await service.status()
        assert after["member"] == before["member"] != ""
        assert len(service.lines("partitions assigned")) == 1
        assert not service.lines("partitions handed back")
        assert await service.stop() == 0
        account = await stage.account()
        assert account.by_status == {"accepted": BACKLOG + 1}
        assert account.repeats == account.marked == 0


async def test_what_cannot_wait_leaves_past_a_backlog_of_its_own_partition_which_is_parked_and_comes_back(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.publish([written(urgent(6, 1))])
        service = await stage.start({"BUFFER__MAX_EVENTS": str(BUFFER), "API__TIMEOUT": "15s"})
        await stage.results.until_count(1)
        await stage.ask.set_faults({"fault": "hold", "campaign": 7})
        await stage.publish([written(event(7, number)) for number in range(BACKLOG)])

        async def parked() -> bool:
            status = await service.status()
            assert status["buffer"]["events"] <= BUFFER
            return bool(status["lag_parts"]["parked"] > BACKLOG - BUFFER)

        await eventually(parked, within_seconds=30.0, what="what has no room parked")
        status = await service.status()
        (waiting,) = status["waiting"]
        assert (waiting["campaign"], waiting["events"] + waiting["parked"]) == ("7", BACKLOG)
        assert waiting["parked"] == status["buffer"]["parked"]
        assert status["buffer"]["reads_past"]
        passing = [written(urgent(6, 2)), written(event(8, 3)), written(urgent(9, 4))]
        results = await stage.results.until(await stage.publish(passing), within_seconds=10.0)
        assert {one["status"] for one in results} == {"accepted"}
        assert len(stage.results.at) == 1 + len(passing), "the backlog still waits"
        await stage.ask.clear_faults()
        await stage.results.until_count(BACKLOG + 1 + len(passing))
        status = await service.status()
        assert (status["lag"], status["lag_parts"]["parked"], status["ages"]["parked"]) == (0, 0, 0)
        again = re.findall(
            r"^campaign_records_read_again_total\{.*\} (.*)$", (await service.get("/metrics")).text, re.MULTILINE
        )
        assert sum(map(float, again)) >= BACKLOG - BUFFER
        assert await service.stop() == 0
        account = await stage.account()
        assert account.by_status == {"accepted": BACKLOG + 1 + len(passing)}
        assert account.repeats == account.marked == 0


async def test_a_second_signal_ends_at_once_with_130_and_what_was_out_is_in_doubt(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        settings = {"DELIVERY__ON_UNKNOWN_OUTCOME": "hold", "WINDOW__MAX_CONTACTS": "5"}
        service = await stage.start({**settings, **PATIENT, "WINDOW__DURATION": "60s"})
        await stage.results.until(await stage.publish([written(urgent(6, 1))]))
        await stage.ask.set_faults({"fault": "hold"})
        out = [event(7, number) for number in range(5)]
        waiting = [event(8, number) for number in range(3)]
        places = await stage.publish(map(written, [*out, *waiting]))
        await stage.ask.wait(in_flight=1)
        service.send(signal.SIGINT)
        await service.until_logged("draining")
        assert (await service.get("/readyz")).status_code == 503
        await stage.ask.wait(in_flight=2)  # the open window, too: a drain closes it and sends it
        service.send(signal.SIGTERM)
        assert await service.ended() == 130

        await stage.ask.clear_faults()
        await stage.start(settings)
        results = await stage.results.until(places)

        assert {(result["status"], result["reason"]) for result in results} == {("in_doubt", "owner_lost")}
        texts = await stage.texts()
        assert all(texts[id_of(content)] == 1 for content in [*out, *waiting])
        await stage.account()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_what_waits_for_company_and_ends_with_0(
    kafka: Cluster, tmp_path: Path, number: signal.Signals
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start({"WINDOW__DURATION": "60s"})
        places = await stage.publish([written(event(7, person)) for person in range(3)])
        await service.until_holds(len(places))
        service.send(number)
        assert await service.ended() == 0

        results = await stage.results.until(places)
        assert {result["status"] for result in results} == {"accepted"}
        assert (await stage.ask.summary()).requests == 1
        await stage.start()
        await stage.results.until(await stage.publish([written(event(7, 9))]))
        assert (await stage.account()).results_published_again == 0


async def test_a_signal_right_after_the_start_ends_with_0(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.launch()
        await service.until_logged("started")

        assert await service.stop() == 0

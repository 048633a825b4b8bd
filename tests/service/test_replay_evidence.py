"""What a plan finds where the ordinary evidence is missing: results gone, records passed over, resends on their way."""

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from consumer.demo.arithmetic import RecordPlace
from tests.service.events import event, id_of, urgent, written
from tests.service.harness import Stage, stage_on
from tests.service.planning import counts_of, planned
from tests.service.test_inspect import move_the_group, ran
from tests.support.cluster import Cluster

CAMPAIGN = 421
SETTINGS = {"DELIVERY__RETRY__MAX_ATTEMPTS": "2"}
OUTAGE = {"fault": "status", "status": 408, "campaign": CAMPAIGN}


async def forget_results(stage: Stage) -> None:
    """Delete all results, as retention would in time."""
    partitions = [TopicPartition(stage.results_topic, number) for number in range(stage.partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=stage.kafka.bootstrap_servers) as reader:
        ends = await reader.end_offsets(partitions)
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.kafka.bootstrap_servers)
    try:
        await admin.start()
        await admin.delete_records({partition: RecordsToDelete(end) for partition, end in ends.items()})
    finally:
        await admin.close()


async def test_where_results_are_gone_the_journal_tells_and_an_earlier_resend_counts(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        instance = await stage.start(SETTINGS)
        (good,) = await stage.publish([written(urgent(11, 1))])
        await stage.ask.set_faults(OUTAGE)
        contents = [urgent(CAMPAIGN, number) for number in (2, 3, 4)]
        failed = await stage.publish([written(content) for content in contents])
        await stage.results.until([good, *failed])
        await stage.ask.set_faults()
        (resend,) = await stage.publish([written(contents[0], headers=[("resend-id", b"r-1")])])
        await stage.results.until([resend])
        assert await instance.stop() == 0
        before = await planned(stage, "--json", "--to", "4", "--partition", "0")
        assert counts_of(before.plan) == {
            "selected": 4,
            "already_accepted": 2,
            "would_send": 2,
            "people": 2,
        }
        assert before.places == set(failed[1:])

        await forget_results(stage)

        after = await planned(stage, "--json", "--to", "4", "--partition", "0")
        assert after.plan.digest == before.plan.digest
        assert after.plan.counts == before.plan.counts
        await stage.publish([written(contents[1], headers=[("resend-id", b"r-2")])])  # nobody has read it yet
        pending = await planned(stage, "--json", "--to", "4", "--partition", "0")
        assert (pending.plan.counts.unsettled, pending.places) == (1, {failed[2]})


async def test_what_a_forward_move_has_passed_over_is_found_in_the_journal(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        service = await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, n), partition=n % 2) for n in range(4)]))
        assert await service.stop() == 0
        contents = [urgent(6, n) for n in range(10, 14)]
        passed = await stage.publish([written(content, partition=0) for content in contents])
        await move_the_group(stage, {0: 6})
        service = await stage.start()
        (resend,) = await stage.publish([written(contents[1], headers=[("resend-id", b"r-1")])])
        (after,) = await stage.publish([written(urgent(6, 20), partition=1)])
        await stage.results.until([resend, after])
        assert await service.stop() == 0

        ordinary = await planned(stage, "--json")
        skipped = await planned(stage, "--json", "--skipped")

        assert ordinary.places == set()
        assert any("--skipped selects them" in warning for warning in ordinary.plan.warnings)
        assert counts_of(skipped.plan) == {
            "selected": 4,
            "already_accepted": 1,
            "would_send": 3,
            "people": 3,
        }
        assert skipped.places == {passed[0], passed[2], passed[3]}


async def test_dead_letters_are_mended_by_hand_and_published_once(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path) as stage:
        await stage.start()
        whole = urgent(6, 1)
        broken = {name: value for name, value in whole.items() if name != "campaignId"}
        places = await stage.publish([written(broken), written(b"{nothing", key=None), written(urgent(6, 2))])
        await stage.results.until(places)
        file = tmp_path / "letters.jsonl"

        found = await planned(stage, "--dead-letters", "--reason-contains", "CAMPAIGNID", "--edit", str(file), "--json")

        assert counts_of(found.plan) == {"selected": 1, "invalid": 1}
        assert f"campaign-consumer produce {file} --topic {stage.events}" in found.errors
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        (line,) = file.read_bytes().splitlines()
        letter = orjson.loads(line)
        assert letter["value"] == broken
        assert letter["headers"]["dlq-detail"].startswith("campaignId")
        again = await planned(stage, "--dead-letters", "--edit", str(file))
        assert again.exit_code == 2
        assert "may hold somebody's work" in again.errors
        everything = await planned(stage, "--dead-letters", "--json")
        assert counts_of(everything.plan) == {"selected": 2, "invalid": 2}

        letter["value"]["campaignId"] = 6
        file.write_bytes(orjson.dumps(letter) + b"\n")
        code, _, err = await ran("produce", str(file), "--topic", stage.events, environment=stage.environment())
        assert (code, err) == (0, "")
        mended = RecordPlace(0, 3)
        (result,) = await stage.results.until([mended])
        assert (result["status"], result["eventId"]) == ("accepted", id_of(whole))
        assert (await stage.texts())[id_of(whole)] == 1


async def test_a_plan_that_is_interrupted_ends_at_once_and_leaves_nothing_behind(
    kafka: Cluster, tmp_path: Path
) -> None:
    """On a terminal, where it shows how far it is."""
    async with stage_on(kafka, tmp_path) as stage:
        await stage.publish([written(event(6, n)) for n in range(40_000)])
        ours, theirs = os.openpty()
        file = tmp_path / "plan.json"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consumer", "replay", "plan", "--output", str(file)),
            env=stage.environment() | {"TERM": "xterm", "COLUMNS": "100"},
            stdout=asyncio.subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        shown = ""
        while "reading events" not in shown:
            shown += (await asyncio.to_thread(os.read, ours, 4096)).decode()
        process.send_signal(signal.SIGINT)
        output, _ = await process.communicate()
        os.close(ours)

        assert process.returncode == 130
        assert (output, file.exists()) == (b"", False)
        assert "Traceback" not in shown

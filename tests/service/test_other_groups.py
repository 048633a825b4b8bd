"""A second group on the same journals, as a person starts one by mistake: it writes nothing, and the first one goes on."""

from pathlib import Path

import orjson
import pytest

from consumer.edge.kafka.group.view import is_static
from tests.service.events import urgent, written
from tests.service.harness import Stage, stage_on
from tests.service.test_inspect import SECONDS, inspect, ran, seen
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import Written, read_all, write

FAILED = 1


async def journal_length(stage: Stage) -> int:
    return len(await read_all(stage.kafka.bootstrap_servers, stage.journal))


async def check(stage: Stage, **settings: str) -> tuple[int, str, str]:
    """Run `check --connect` with the stage's settings."""
    return await ran("check", "--connect", environment=stage.environment(settings))


async def test_a_mistyped_group_ends_with_words_and_has_written_nothing(kafka: Cluster, tmp_path: Path) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        service = await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, n), partition=n % 2) for n in range(6)]))
        assert await service.stop() == 0
        length = await journal_length(stage)

        mistyped = await stage.launch({"KAFKA__GROUP_ID": f"{stage.group}-typo"})
        assert await mistyped.ended() == FAILED
        said = mistyped.last_words()
        (line,) = said
        assert f"belongs to group '{stage.group}', and this is group '{stage.group}-typo'" in line
        assert "CAMPAIGN_KAFKA__JOURNAL_TOPIC" in line
        assert await journal_length(stage) == length
        code, _, err = await check(stage, KAFKA__GROUP_ID=f"{stage.group}-typo")
        assert code == FAILED
        assert f"{stage.events}:1 is stopped: its journal belongs to group '{stage.group}'" in err


async def test_the_group_whose_journal_it_is_takes_a_partition_back_and_starts_again_at_any_time(
    kafka: Cluster, tmp_path: Path
) -> None:
    """The claim is one of a version that does not look first, and a slip of somebody's producer stands beside it."""
    async with stage_on(kafka, tmp_path) as stage:
        service = await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, n)) for n in range(3)]))
        claim = {"group": "typo", "member": "typo-1", "process": "p", "version": "0", "claimed_at": 1.0}
        intruder = Written(value=orjson.dumps({"at": 0, "kind": "claim", **claim}), partition=0)
        slips = [Written(value=value, key=b"k", partition=0) for value in (b"hello", None, b"[" * 5_000)]
        await write(kafka.bootstrap_servers, stage.journal, [intruder, *slips])
        await stage.results.until(await stage.publish([written(urgent(6, 10 + n)) for n in range(3)]))

        told = await service.until_logged("another consumer group has claimed our journal")
        assert (told["group"], told["partition"]) == ("typo", f"{stage.events}:0")
        stray = await service.until_logged("records in the journal are no entries")
        assert stray["count"] == len(slips)
        assert "campaign_foreign_claims_total" in (await service.get("/metrics")).text
        assert (await service.get("/readyz")).is_success
        assert await service.stop() == 0

        await write(kafka.bootstrap_servers, stage.journal, [intruder, *slips])
        code, out, _ = await inspect(stage)
        assert code == 0
        assert "group 'typo' has claimed its journal" in out
        assert "records in its journal are no entries and say nothing" in out
        code, out, err = await check(stage)
        assert (code, err) == (0, "")
        assert "note: " in out
        service = await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, 20))]))
        assert await service.stop() == 0
        account = await stage.account()
        assert (account.accepted, account.repeats) == (7, 0)


async def test_every_stopped_partition_is_let_start_at_once_and_a_journal_changes_its_group(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=3) as stage:
        assert (await inspect(stage, "--accept-all", "--at", "7"))[0] == 2
        assert await inspect(stage, "--accept-all") == (0, "no partition is stopped\n", "")
        service = await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, n), partition=n % 3) for n in range(6)]))
        old = stage.group
        stage.group = f"{old}-renamed"
        code, out, err = await inspect(stage, "--accept-all", "--at", "end", answer="n\n")
        assert (code, err) == (1, "all of them stay stopped; nothing was written\n")
        assert out.count(f"its journal belongs to group '{old}'") == 3
        code, out, err = await inspect(stage, "--accept-all", "--at", "end", "--yes")
        assert (code, err) == (0, "")
        assert out.count("may start at offset 2") == 3

        renamed = await stage.start()
        await stage.results.until(await stage.publish([written(urgent(6, 10 + n), partition=n % 3) for n in range(3)]))

        async def given_up() -> bool:
            states = {partition["state"] for partition in (await service.status())["partitions"]}
            return states == {"stopped"}

        await eventually(given_up, within_seconds=SECONDS, what="the first group has given its partitions up")
        assert await service.stop() == 0
        assert {partition["state"] for partition in await seen(stage)} == {"ordinary"}
        assert await renamed.stop() == 0


@pytest.mark.parametrize(
    "member, static",
    [
        ("worker-0b5bb9cf-8b0a-4d0c-9d9c-0d3f6f6c2c11", True),
        ("worker-1-0b5bb9cf-8b0a-4d0c-9d9c-0d3f6f6c2c11", False),
        ("worker-1", False),
        ("worker", False),
        ("", False),
    ],
)
def test_a_static_name_that_another_begins_with_is_not_taken(member: str, static: bool) -> None:  # noqa: FBT001
    assert is_static(member, "worker") is static

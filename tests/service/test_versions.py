"""A newer version's entries in the journal of a running group: the older version texts nobody by guesswork, and recovers."""

from pathlib import Path

import orjson

from consumer.core.journal.entries import Checkpoint, Entry, encode
from consumer.core.terms import JournalOffset, Offset
from tests.core.makers import make_claim
from tests.service.events import urgent, written
from tests.service.harness import Stage, stage_on
from tests.service.test_inspect import inspect, seen, until_ready, until_stopped
from tests.support.cluster import Cluster
from tests.support.records import Written, read_all, write

SETTLED = 2
"""Records of each partition that the older version has sent before the upgrade."""


async def append(stage: Stage, *entries: Entry | dict[str, object]) -> None:
    """Write entries to the end of the journal of partition 0, as its owner does."""
    journal = await read_all(stage.kafka.bootstrap_servers, stage.journal)
    end = 1 + max(record.offset for record in journal if record.partition == 0)
    values = [
        orjson.dumps({"at": at, **entry}) if isinstance(entry, dict) else encode(entry, JournalOffset(at))
        for at, entry in enumerate(entries, start=end)
    ]
    await write(stage.kafka.bootstrap_servers, stage.journal, [Written(value=value, partition=0) for value in values])


async def test_a_partition_of_a_newer_version_waits_for_one_and_the_others_go_on(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with stage_on(kafka, tmp_path, partitions=2) as stage:
        older = await stage.start()
        await stage.results.until(
            await stage.publish([written(urgent(6, n), partition=n % 2) for n in range(2 * SETTLED)])
        )
        assert await older.stop() == 0
        await append(stage, make_claim("newer", stage.group), {"kind": "lease", "until": 9.0})
        assert [one["state"] for one in await seen(stage)] == ["stopped", "ordinary"], "asked before going back"

        older = await stage.launch()
        reason = await until_stopped(older)
        assert (
            "cannot be read (an entry of an unknown kind): a newer version may have written it; cure: run that version "
            "again, and the partition goes on by itself"
        ) in reason
        assert "; only as the last way decide with campaign-consumer inspect --accept" in reason
        code, out, _ = await inspect(stage)
        assert (code, reason.removeprefix(f"partition {stage.events}:0 is stopped: ") in out) == (0, True)
        waiting, sent = await stage.publish([written(urgent(6, 10 + n), partition=n) for n in range(2)])
        await stage.results.until([sent])
        assert waiting not in stage.results.at, "nobody knows whether it was sent"

        summary = Checkpoint(
            group=stage.group,
            watermark=Offset(SETTLED),
            settled=(),
            open_attempts=(),
            tried=(),
            unpublished=None,
            mark=None,
        )
        await append(stage, make_claim("newer", stage.group), summary)
        await stage.results.until([waiting])
        await until_ready(older)
        assert await older.stop() == 0
        assert (await stage.account()).repeats == 0

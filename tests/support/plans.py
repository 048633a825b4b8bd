"""Plans of whatever stands in topics, as if all of it had failed, and the command that runs them. Joins nothing."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.reading.whole_logs import WholeLogs
from consumer.replay.coding import Coding, PlannedRecord, record_digest
from consumer.replay.document import (
    VERSION,
    Cost,
    Counts,
    Ends,
    Plan,
    Selection,
    digest_of,
    document_of,
    resend_id_of,
)
from tests.support.cluster import Cluster

ENDED_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended, and what it said."""

    code: int | None
    said: str
    complained: str


async def plan_of_all(
    kafka: Cluster,
    topic: str,
    results: str,
    *,
    wanted: Callable[[Any], bool] = lambda _record: True,
    extended: bool = False,
    digest: Callable[[int], int] | None = None,
    cluster_id: str | None = None,
    **selection: Any,
) -> Plan:
    """Return a plan of the records that stand in a topic. `digest` makes up what stands at an offset."""
    connection = KafkaConnection(bootstrap_servers=tuple(kafka.bootstrap_servers.split(",")))
    logs = WholeLogs(connection, group=f"group-of-{topic}", on_trouble=lambda _why: None)
    try:
        ends, planned = [], []
        for number in range(await logs.partitions(topic)):
            start, end = await logs.bounds(topic, number)
            coding = Coding(topic, number)
            async for records in logs.read(topic, number, start, end):
                for record in filter(wanted, records):
                    told = record_digest(record) if digest is None else digest(record.offset)
                    coding.add(PlannedRecord(record.offset, told, extended))
            done = coding.done()
            planned += [] if done is None else [done]
            ends.append(end)
        result_ends = [(await logs.bounds(results, number))[1] for number in range(await logs.partitions(results))]
        cluster_id = cluster_id or await logs.cluster_id()
    finally:
        await logs.stop()
    chosen = Selection(statuses=("failed",), **selection)
    whole = digest_of(planned, cluster_id=cluster_id, extend_expiry_seconds=chosen.extend_expiry_seconds, after=())
    count = sum(one.count for one in planned)
    return Plan(
        version=VERSION,
        digest=whole,
        resend_id=resend_id_of(whole),
        cluster_id=cluster_id,
        group=f"group-of-{topic}",
        made_at="2026-11-24T15:40:19.000Z",
        selection=chosen,
        counts=Counts(selected=count, would_send=count),
        campaigns=(),
        warnings=(),
        cost=Cost(rate=None, publishing_seconds=None, requests=0, sending_seconds=None),
        after=(),
        events=(Ends(topic=topic, ends=tuple(ends)),),
        results=Ends(topic=results, ends=tuple(result_ends)),
        records=tuple(planned),
    )


def saved(plan: Plan, file: Path) -> Path:
    """Write a plan down."""
    file.write_bytes(document_of(plan))
    return file


async def started(
    kafka: Cluster, *arguments: str, settings: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """Start `campaign-consumer replay` as a process, with nothing but the brokers' address."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("CAMPAIGN_")}
    environment["CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "consumer", "replay", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment | dict(settings or {}),
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process, *, given: bytes = b"") -> Ran:
    """Wait for a command's end."""
    async with asyncio.timeout(ENDED_SECONDS):
        said, complained = await process.communicate(given)
    return Ran(code=process.returncode, said=said.decode(), complained=complained.decode())


async def replay(kafka: Cluster, *arguments: str, given: bytes = b"", settings: Mapping[str, str] | None = None) -> Ran:
    """Run `campaign-consumer replay` to its end."""
    return await ended(await started(kafka, *arguments, settings=settings), given=given)


def values_by_partition(records: Sequence[Any]) -> dict[int, list[bytes | None]]:
    """Return values, partition by partition, in their order."""
    found: dict[int, list[bytes | None]] = {}
    for record in records:
        found.setdefault(record.partition, []).append(record.value)
    return found

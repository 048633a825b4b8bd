"""`topics` makes what is missing fit for the service, says what it did, and leaves alone what is there."""

import asyncio
import os
import sys
import uuid
from typing import NamedTuple

from consumer.edge.kafka.topic_findings import FewCopiesInSync
from consumer.edge.kafka.topics import Expectations, examine
from tests.kafka.support import connection_to
from tests.support.cluster import Cluster
from tests.support.topics import Topics

SURROUNDINGS = {name: value for name, value in os.environ.items() if not name.upper().startswith("CAMPAIGN_")}


class Done(NamedTuple):
    code: int
    said: list[str]
    complained: list[str]


async def topics_command(kafka: Cluster, events: str, *arguments: str) -> Done:
    """Run it, with settings about Kafka alone."""
    settings = {
        "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "CAMPAIGN_KAFKA__GROUP_ID": events,
        "CAMPAIGN_KAFKA__EVENTS_TOPICS": events,
        "CAMPAIGN_KAFKA__RESULTS_TOPIC": f"{events}-results",
        "CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC": f"{events}-dead",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consumer", "topics", *arguments),
        env=SURROUNDINGS | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Done(process.returncode, out.decode().splitlines(), err.decode().splitlines())


async def test_missing_topics_are_made_fit_and_made_once(kafka: Cluster) -> None:
    events = f"made-{uuid.uuid4().hex[:12]}"

    first = await topics_command(kafka, events, "--partitions", "3")
    again = await topics_command(kafka, events, "--partitions", "5")

    assert (first.code, first.complained) == (0, [])
    assert [line for line in first.said if not line.startswith("note: ")] == [
        f"created: {events} (events)",
        f"created: {events}-journal (journal)",
        f"created: {events}-results (results)",
        f"created: {events}-dead (dead-letter)",
        f"created: {events}-control (control)",
    ]
    assert (again.code, again.complained) == (0, [])
    assert f"there already: {events} (events)" in again.said
    assert not [line for line in again.said if line.startswith("created")]
    fit = Expectations(
        journals={events: f"{events}-journal"},
        results=f"{events}-results",
        dead_letter=f"{events}-dead",
        control=f"{events}-control",
    )
    assert {type(finding) for finding in await examine(connection_to(kafka), fit)} <= {FewCopiesInSync}


async def test_a_topic_that_is_there_stays_as_it_is_and_what_is_wrong_with_it_is_said(
    kafka: Cluster, topics: Topics
) -> None:
    events = await topics.create("events", partitions=2)
    await topics.create_named(f"{events}-journal", partitions=2, settings={"cleanup.policy": "compact"})

    done = await topics_command(kafka, events)

    assert done.code == 1
    assert done.complained == [
        f"the journal '{events}-journal' has cleanup.policy=compact: set it to delete, compaction eats entries"
    ]
    assert f"created: {events}-results (results)" in done.said

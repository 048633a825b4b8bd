"""`campaign-consumer produce` as people and scripts use it: a process, its exit code and its words."""

import asyncio
import os
import re
import signal
import sys
from typing import NamedTuple

import orjson
import pytest
from rich.console import Console

from consumer.cli.produce_progress import progress
from consumer.core.outcome import Reason, Status
from tests.lookup.published import published
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import read_all, write
from tests.support.topics import Topics

EVENT = b'{"eventId": "e-%d", "campaignId": 421, "contact": {"phoneE164": "+999600000001", "externalCode": "cust-1"}}'


class Ended(NamedTuple):
    code: int | None
    said: str
    complained: str


async def start(*arguments: str, results: str | None = None) -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("CAMPAIGN_")}
    if results is not None:
        environment["CAMPAIGN_KAFKA__RESULTS_TOPIC"] = results
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "consumer", "produce", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip


async def produce(*arguments: str, given: bytes = b"", results: str | None = None) -> Ended:
    process = await start(*arguments, results=results)
    async with asyncio.timeout(60):
        said, complained = await process.communicate(given)
    return Ended(process.returncode, said.decode(), complained.decode())


async def test_lines_from_a_pipe_are_published_with_their_keys_and_headers(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events")
    lines = b"\n".join([EVENT % 1, b'{"key": "k", "value": {"eventId": "e-2"}, "headers": {"resend-id": "r-1"}}'])
    ended = await produce(
        "-", "--topic", topic, "--bootstrap-servers", kafka.bootstrap_servers, "--header", "origin=test", given=lines
    )
    first, second = await read_all(kafka.bootstrap_servers, topic)
    assert (first.key, first.value, first.headers) == (b"cust-1", EVENT % 1, (("origin", b"test"),))
    assert (second.key, second.value) == (b"k", b'{"eventId":"e-2"}')
    assert second.headers == (("origin", b"test"), ("resend-id", b"r-1"))
    assert (ended.code, ended.complained) == (0, "")
    assert ended.said.startswith(f"published 2 records to 1 partition of {topic}")


async def test_partition_and_offset_are_named_of_each_of_a_few_records_and_as_ranges_of_many(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events", partitions=2)
    to = ("--topic", topic, "--bootstrap-servers", kafka.bootstrap_servers)
    lines = b"\n".join([EVENT % 1, b'{"key": "k", "value": "no event"}'])
    await produce("-", *to, given=lines)
    ended = await produce("-", *to, given=lines)
    stand = {
        (record.value, record.partition, record.offset) for record in await read_all(kafka.bootstrap_servers, topic)
    }
    ((first_partition, first), (second_partition, second)) = [
        max((partition, offset) for value, partition, offset in stand if value == wanted)
        for wanted in (EVENT % 1, b"no event")
    ]
    assert sorted(ended.said.splitlines()[1:]) == sorted(
        [f"{topic}:{first_partition}:{first}  e-1", f"{topic}:{second_partition}:{second}  no event ID"]
    )
    ended = await produce("--generate", "300", "--partitioner", "round-robin", *to)
    assert [f"{topic}:{partition}  offsets " in line for partition, line in enumerate(ended.said.splitlines()[1:])] == [
        True,
        True,
    ]
    ranges = [line.rpartition(" ")[2].split("-") for line in ended.said.splitlines()[1:]]
    assert [int(last) - int(start) + 1 for start, last in ranges] == [150, 150]


async def test_what_became_of_what_was_published_is_shown_once_all_of_it_has_a_result(
    kafka: Cluster, topics: Topics
) -> None:
    topic, results = await topics.create("events"), await topics.create("results")
    earlier = published(0, topic=topic, status=Status.FAILED, reason=Reason.RETRY_AGE)
    await write(kafka.bootstrap_servers, results, [earlier])
    process = await start(
        "-", "--wait", "--topic", topic, "--bootstrap-servers", kafka.bootstrap_servers, results=results
    )
    assert process.stdin is not None
    process.stdin.write(b"\n".join([EVENT % 1, EVENT % 2]))
    process.stdin.close()

    async def arrived() -> bool:
        return len(await read_all(kafka.bootstrap_servers, topic)) == 2

    await eventually(arrived, within_seconds=30, what="both events are in the topic")
    others = [published(0, topic="other"), published(7, topic=topic)]
    refused = published(1, topic=topic, event_id="e-2", status=Status.REJECTED, reason=Reason.CONTACT_REFUSED)
    ours = published(0, topic=topic, event_id="e-1")
    await write(kafka.bootstrap_servers, results, [*others, refused, refused, ours])
    async with asyncio.timeout(30):
        said, complained = await process.communicate()
    assert (process.returncode, complained) == (0, b"")
    told = said.decode().split(f"{topic}:0:1  e-2\n")[1].splitlines()
    assert told[:2] == ["1 accepted", "1 rejected (contact_refused)"]
    assert {tuple(line.split())[1:5] for line in told[3:]} == {
        ("rejected", "contact_refused", "421", "e-2"),
        ("accepted", "-", "421", "e-1"),
    }


async def test_what_has_no_result_in_time_is_named_and_the_exit_code_tells(kafka: Cluster, topics: Topics) -> None:
    topic, results = await topics.create("events"), await topics.create("results")
    to = ("--topic", topic, "--bootstrap-servers", kafka.bootstrap_servers)
    ended = await produce("--wait", "0.1", "-", *to, given=EVENT % 1, results=results)
    assert ended.code == 1
    assert ended.said.splitlines()[-1] == f"{topic}:0:0  no result yet"
    assert ended.complained.startswith("1 record has no result after 0.1 s")
    ended = await produce("-", "--wait", *to, given=EVENT % 1, results="nowhere")
    assert (ended.code, ended.said) == (1, "")
    assert ended.complained == "CAMPAIGN_KAFKA__RESULTS_TOPIC: topic 'nowhere' does not exist\n"
    assert len(await read_all(kafka.bootstrap_servers, topic)) == 1, "nothing is published that cannot be followed"


async def test_a_check_names_line_and_mistake_publishes_nothing_and_says_no_phone() -> None:
    whole = {
        "eventId": "e-1",
        "eventType": "order.shipped",
        "occurredAt": "2026-11-24T15:40:19Z",
        "campaignId": 421,
        "contact": {"phoneE164": "+999600000001"},
    }
    lines = [
        whole | {"occurredAt": "2099-01-01T00:00:00Z"},
        whole | {"campaignId": "421"},
        whole | {"contact": {"phoneE164": "999600000001"}},
        whole | {"expireAt": "2099-01-01T00:00:00Z"},
        whole | {"send": {"scheduledAt": "2099-01-01T00:00:00Z"}},
    ]
    given = b"\n".join([*map(orjson.dumps, lines), b"[]"])
    ended = await produce("-", "--check", "--bootstrap-servers", "127.0.0.1:1", given=given)
    assert (ended.code, ended.said) == (1, "checked 6 lines, published nothing\n")
    told = ended.complained.splitlines()
    assert [line.partition(":")[0] for line in told] == [
        *("line 2", "line 3", "line 4", "line 4", "line 5", "line 6", "4 lines are no valid events")
    ]
    assert "schema: campaignId: " in told[0]
    assert "schema: contact.phoneE164: " in told[1]
    assert "expireAt is not read; expiresAt may be meant" in told[2]
    assert "it would expire" in told[3]
    assert "schedule_not_configured" in told[4]
    assert "not a JSON object" in told[5]
    assert "600000001" not in ended.complained


@pytest.mark.parametrize(
    "arguments", [["--generate", "3", "--check"], ["-", "--check", "--wait"], ["-", "--wait", "0"]]
)
async def test_a_check_that_publishes_and_a_wait_for_no_time_are_bad_usage(arguments: list[str]) -> None:
    assert (await produce(*arguments)).code == 2


async def test_progress_is_a_line_now_and_then_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    told = asyncio.Event()
    count = 0

    def done() -> int:
        nonlocal count
        count += 500
        if count == 1_000:
            told.set()
        return count

    console = Console(stderr=True, force_terminal=False)
    with progress("publishing", done=done, total=2_000, console=console, line_seconds=0.001):
        await told.wait()
    first, *_ = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"publishing: 500 of 2,000 in 0 s, [\d,]+/s", first)


async def test_a_bad_line_is_named_the_others_are_published_and_the_exit_code_tells(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    lines = b"\n".join([EVENT % 1, b"{", EVENT % 2])
    ended = await produce("-", "--topic", topic, "--bootstrap-servers", kafka.bootstrap_servers, given=lines)
    assert [record.value for record in await read_all(kafka.bootstrap_servers, topic)] == [EVENT % 1, EVENT % 2]
    assert ended.code == 1
    assert ended.complained.splitlines()[0].startswith("line 2: not JSON")
    assert "1 bad line was left out" in ended.complained


async def test_made_up_events_are_the_same_again_for_the_same_seed_save_for_their_times(
    kafka: Cluster, topics: Topics
) -> None:
    people = []
    for _ in range(2):
        topic = await topics.create("events", partitions=2)
        ended = await produce(
            "--generate", "500", "--seed", "5", "--topic", topic, "--bootstrap-servers", kafka.bootstrap_servers,
            "--compression", "zstd",
        )  # fmt: skip
        assert ended.code == 0, ended.complained
        people.append([record.key for record in await read_all(kafka.bootstrap_servers, topic)])
    assert len(people[0]) == 500
    assert people[0] == people[1]


async def test_a_missing_topic_is_one_line_and_exit_code_1(kafka: Cluster) -> None:
    ended = await produce("--generate", "1", "--topic", "nobody", "--bootstrap-servers", kafka.bootstrap_servers)
    assert (ended.code, ended.said) == (1, "")
    assert "topic 'nobody' does not exist" in ended.complained
    assert len(ended.complained.splitlines()) == 1


async def test_an_unreachable_broker_is_one_line_and_exit_code_1() -> None:
    ended = await produce("--generate", "1", "--bootstrap-servers", "127.0.0.1:1")
    assert (ended.code, ended.said) == (1, "")
    assert "no Kafka broker answers at 127.0.0.1:1" in ended.complained
    assert len(ended.complained.splitlines()) == 1


async def test_brokers_that_are_no_addresses_are_bad_usage() -> None:
    ended = await produce("--generate", "1", "--bootstrap-servers", "nonsense")
    assert ended.code == 2
    assert "--bootstrap-servers" in ended.complained


async def test_neither_a_file_nor_a_number_is_bad_usage() -> None:
    assert (await produce()).code == 2
    assert (await produce("-", "--generate", "3")).code == 2


async def test_a_slow_pipe_is_published_line_by_line_and_a_signal_ends_it_with_everything_acknowledged(
    kafka: Cluster, topics: Topics
) -> None:
    topic = await topics.create("events")
    process = await start("-", "--topic", topic, "--bootstrap-servers", kafka.bootstrap_servers)
    assert process.stdin is not None
    process.stdin.write(EVENT % 1 + b"\n")
    await process.stdin.drain()

    async def arrived() -> bool:
        return len(await read_all(kafka.bootstrap_servers, topic)) == 1

    await eventually(arrived, within_seconds=30, what="the line is in the topic while the pipe is still open")
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        said, complained = await process.communicate()
    assert (process.returncode, complained) == (0, b"")
    assert b"published 1 records" in said
    assert b"stopped by a signal" in said


async def test_no_phone_stands_in_what_is_said_about_bad_lines(kafka: Cluster, topics: Topics) -> None:
    topic = await topics.create("events")
    bad = orjson.dumps({"contact": {"phoneE164": "+999600000001"}})[:-1]
    ended = await produce("-", "--topic", topic, "--bootstrap-servers", kafka.bootstrap_servers, given=bad)
    assert ended.code == 1
    assert "600000001" not in ended.said + ended.complained

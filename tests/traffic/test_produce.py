"""`campaign-consumer produce` as people and scripts use it: a process, its exit code and its words."""

import asyncio
import os
import signal
import sys
from typing import NamedTuple

import orjson

from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import read_all
from tests.support.topics import Topics

EVENT = b'{"eventId": "e-%d", "campaignId": 421, "contact": {"phoneE164": "+999600000001", "externalCode": "cust-1"}}'


class Ended(NamedTuple):
    code: int | None
    said: str
    complained: str


async def start(*arguments: str) -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("CAMPAIGN_")}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "consumer", "produce", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip


async def produce(*arguments: str, given: bytes = b"") -> Ended:
    process = await start(*arguments)
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

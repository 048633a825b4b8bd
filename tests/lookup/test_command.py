"""`results` on a real broker, as a process: what it finds, in which order, with which words and exit codes."""

import asyncio
import signal
import sys
from dataclasses import dataclass

import orjson
import pytest
import pytest_asyncio

from consumer.core.outcome import Reason, Status
from consumer.demo.surroundings import plain_environment
from tests.core.makers import EPOCH
from tests.lookup.published import published
from tests.support.cluster import Cluster
from tests.support.records import Written, write
from tests.support.topics import Topics

OK, FAILED, MISUSED = 0, 1, 2
AGAIN = Written(
    value=published(1, event_id="e-1", seconds=1).value, partition=0, timestamp_ms=round((EPOCH + 9) * 1000)
)
REJECTED = published(
    7,
    partition=1,
    event_id="e-7",
    status=Status.REJECTED,
    reason=Reason.CONTACT_REFUSED,
    seconds=5,
    message="no *** known",
)
STANDING = [
    published(1, event_id="e-1", seconds=1),
    published(2, event_id="e-2", seconds=9, campaign=7),
    AGAIN,
    REJECTED,
    published(8, partition=1, event_id="e-8", seconds=10),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """The command with a results topic of its own."""

    servers: str
    topic: str

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        settings = {
            "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": self.servers,
            "CAMPAIGN_KAFKA__RESULTS_TOPIC": self.topic,
        }
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "consumer", "results", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**plain_environment(), **settings},
        )  # fmt: skip

    async def run(self, *arguments: str) -> tuple[int | None, str, str]:
        process = await self.start(*arguments)
        async with asyncio.timeout(60):
            said, complained = await process.communicate()
        return process.returncode, said.decode(), complained.decode()

    async def found(self, *arguments: str) -> list[str]:
        """The event IDs that it prints, in its order."""
        code, said, complained = await self.run("--json", *arguments)
        assert code == OK, complained
        return [orjson.loads(line)["eventId"] for line in said.splitlines()]

    async def write(self, *results: Written) -> None:
        await write(self.servers, self.topic, results)


@pytest_asyncio.fixture
async def shop(kafka: Cluster, topics: Topics) -> Shop:
    there = Shop(servers=kafka.bootstrap_servers, topic=await topics.create("results", partitions=2))
    await there.write(*STANDING)
    return there


async def test_results_come_in_the_order_of_time_each_once_as_they_were_published(shop: Shop) -> None:
    code, said, complained = await shop.run("--json")
    assert code == OK
    assert said.encode().splitlines() == [STANDING[number].value for number in (0, 3, 1, 4)]
    assert complained == f"4 results, of 5 records read from {shop.topic}\n"


async def test_results_are_found_by_what_is_known_of_an_event_and_by_time(shop: Shop) -> None:
    assert await shop.found("--event", "e-8", "--event", "e-1") == ["e-1", "e-8"]
    assert await shop.found("--reference", "e-7", "--campaign", "421", "--status", "failed,rejected") == ["e-7"]
    assert await shop.found("--reason", "contact_refused", "--limit", "3") == ["e-7"]
    assert await shop.found("--limit", "2") == ["e-2", "e-8"]
    seconds = "2026-11-24T15:40:{:02d}Z"
    assert await shop.found("--from", seconds.format(5), "--to", seconds.format(9)) == ["e-7"]
    assert await shop.found("--from", "1", "--partition", "1") == ["e-8"]


async def test_people_get_a_table_with_key_reference_record_and_words(shop: Shop) -> None:
    code, said, _ = await shop.run("--event", "e-7")
    assert code == OK
    head, row = said.splitlines()
    assert head.split() == ["COMPLETED", "STATUS", "REASON", "CAMPAIGN", "EVENT", "REFERENCE", "KEY", "RECORD", "WORDS"]
    assert row.split() == (
        [
            "2026-11-24T15:40:05.000Z",
            "rejected",
            "contact_refused",
            "421",
            "e-7",
            "e-7",
            "cust-1",
            "contact-events:1:7",
            "no",
            "***",
            "known",
        ]
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_new_results_are_followed_until_a_signal_comes_which_is_no_failure(
    shop: Shop, number: signal.Signals
) -> None:
    process = await shop.start("--json", "--follow", "--limit", "1")
    assert process.stdout is not None
    async with asyncio.timeout(60):
        assert orjson.loads(await process.stdout.readline())["eventId"] == "e-8"
        await shop.write(published(9, event_id="e-9", seconds=20), published(1, event_id="e-1", seconds=1))
        assert orjson.loads(await process.stdout.readline())["eventId"] == "e-9"
        process.send_signal(number)
        said, complained = await process.communicate()
    assert (process.returncode, said, complained) == (OK, b"", b"")


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["--status", "sent"], MISUSED, "'sent' is none of accepted, rejected"),
        (["--status", ","], MISUSED, "',' names none of accepted, rejected"),
        (["--status", "failed", "--status", ""], MISUSED, "names none of"),
        (["--reason", "bad luck"], MISUSED, "'bad luck' is none of"),
        (["--from", "yesterday"], MISUSED, "neither an instant"),
        (["--from", "7"], MISUSED, "name it with --partition"),
        (["--follow", "--to", "-1h"], MISUSED, "--follow has no end"),
        (["--partition", "5"], FAILED, "has 2 partitions, no 5"),
    ],
)
async def test_what_cannot_be_answered_is_said_in_a_line(
    shop: Shop, arguments: list[str], code: int, words: str
) -> None:
    ended, said, complained = await shop.run(*arguments)
    assert (ended, said) == (code, "")
    assert words in complained


async def test_a_results_topic_that_is_not_there_is_named_with_its_setting(kafka: Cluster) -> None:
    code, said, complained = await Shop(servers=kafka.bootstrap_servers, topic="nowhere").run()
    assert (code, said) == (FAILED, "")
    assert complained == "CAMPAIGN_KAFKA__RESULTS_TOPIC: topic 'nowhere' does not exist\n"

"""`check` says what would be used, and with --connect each thing that is in the way, before a service starts."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from tests.support.cluster import Cluster
from tests.support.topics import Topics

SURROUNDINGS = {name: value for name, value in os.environ.items() if not name.upper().startswith("CAMPAIGN_")}
KEY = "right-key-4711"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a run of the command ended."""

    exit_code: int
    out: list[str]
    err: list[str]


async def check(*arguments: str, **settings: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "consumer", "check", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=SURROUNDINGS | {f"CAMPAIGN_{name}": value for name, value in settings.items()},
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Done(exit_code=process.returncode, out=out.decode().splitlines(), err=err.decode().splitlines())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform() -> AsyncIterator[str]:
    """The URL of a sandbox that runs as a process of its own and knows one key."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "consumer", "sandbox", "--port", "0", "--server-key", KEY),
        stdout=asyncio.subprocess.PIPE,
        env=SURROUNDINGS,
    )
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode()
    try:
        yield said.split()[-1]
    finally:
        process.terminate()
        await process.wait()


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def test_what_would_be_used_is_printed_without_the_key() -> None:
    done = await check(
        API__URL="https://eu.example.com/v2/sms/send/list?project=9",
        API__SERVER_KEY=KEY,
        KAFKA__EVENTS_TOPICS="a,b",
        CAMPAIGNS__421__WINDOW__DURATION="0",
        CAMPAIGNS__421__DELIVERY__ANSWERS__500="refused",
    )
    assert (done.exit_code, done.err) == (0, [])
    page = "\n".join(done.out)
    assert KEY not in page
    assert "https://eu.example.com/v2/sms/send/list, an answer within 10s; server key is set" in page
    assert "a-journal, b-journal" in page
    assert "campaign 421  DELIVERY__ANSWERS__500=refused, WINDOW__DURATION=0s" in page
    assert "note: CAMPAIGN_API__FIELD_NAMES__SCHEDULED_AT is not set" in page


async def test_the_proxy_on_the_way_is_named_without_its_password() -> None:
    done = await check(
        API__URL="https://eu.example.com/send", API__SERVER_KEY=KEY, API__PROXY="http://me:hunter2@proxy.corp:3128"
    )
    assert (done.exit_code, done.err) == (0, [])
    page = "\n".join(done.out)
    assert "https://eu.example.com/send by proxy proxy.corp:3128 (CAMPAIGN_API__PROXY), an answer within 10s" in page
    assert "hunter2" not in page


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A Kafka with fit topics and a platform: what a check should find nothing wrong with."""

    topics: Topics
    settings: dict[str, str]


@pytest_asyncio.fixture
async def world(kafka: Cluster, topics: Topics, platform: str) -> World:
    events = await topics.create("events", partitions=2)
    await topics.create_named(f"{events}-journal", partitions=2)
    await topics.create_named(f"{events}-control", settings={"cleanup.policy": "compact"})
    return World(
        topics=topics,
        settings={
            "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "KAFKA__EVENTS_TOPICS": events,
            "KAFKA__RESULTS_TOPIC": await topics.create("results"),
            "KAFKA__CONTROL_TOPIC": f"{events}-control",
            "KAFKA__DEAD_LETTER_TOPIC": await topics.create("dead-letters"),
            "API__URL": platform,
            "API__SERVER_KEY": KEY,
        },
    )


async def obstacle(world: World, **differently: str) -> str:
    """What stands in the way when something is set differently: one line, exit code 1, no secret."""
    done = await check("--connect", **world.settings | differently)
    assert done.exit_code == 1
    assert KEY not in "".join(done.out + done.err)
    (line,) = done.err
    return line


async def test_where_everything_is_fit_check_says_so_and_ends_with_0(world: World) -> None:
    done = await check("--connect", **world.settings)
    assert (done.exit_code, done.err) == (0, [])
    assert {"ok: the brokers answer, and the topics are fit", "ok: the platform answers and takes the server key"} <= {
        *done.out
    }


async def test_a_check_asks_with_the_key_and_texts_nobody(world: World) -> None:
    asked = world.settings["API__URL"].partition("/v2/")[0] + "/sandbox/"
    async with httpx.AsyncClient(trust_env=False, base_url=asked) as client:
        await client.delete("records")
        await check("--connect", **world.settings)
        requests, contacts = await client.get("requests"), await client.get("contacts")
    assert len(requests.text.splitlines()) == 1
    assert (contacts.status_code, contacts.text) == (200, "")


@pytest.mark.parametrize(
    "status, words",
    [
        (401, "CAMPAIGN_API__SERVER_KEY: refused, the platform answered 401"),
        (402, "the account's credit is used up"),
        (407, "a proxy on the way answered 407; check the user and password in CAMPAIGN_API__PROXY, or HTTPS_PROXY"),
        (503, "nothing is known about the server key, the platform answered 503; try again later"),
    ],
)
async def test_a_platform_that_would_let_no_send_in_is_named_before_there_is_one(
    world: World, status: int, words: str
) -> None:
    asked = world.settings["API__URL"].partition("/v2/")[0] + "/sandbox/"
    async with httpx.AsyncClient(trust_env=False, base_url=asked) as client:
        await client.put("faults", json={"fault": "status", "status": status})
        try:
            assert words in await obstacle(world)
        finally:
            await client.delete("faults")


async def test_brokers_that_are_away_are_one_line(world: World) -> None:
    line = await obstacle(world, KAFKA__BOOTSTRAP_SERVERS=f"127.0.0.1:{unused_port()}")
    assert line.startswith("no Kafka broker answers at 127.0.0.1:")
    assert "check CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS" in line


@pytest.mark.parametrize(
    "setting", ["EVENTS_TOPICS", "RESULTS_TOPIC", "DEAD_LETTER_TOPIC", "JOURNAL_TOPIC", "CONTROL_TOPIC"]
)
async def test_a_missing_topic_is_one_line_with_the_setting_that_names_it(world: World, setting: str) -> None:
    journal = {"KAFKA__JOURNAL_TOPIC": world.settings["KAFKA__EVENTS_TOPICS"] + "-journal"}
    line = await obstacle(world, **journal | {f"KAFKA__{setting}": "not-there"})
    assert line.startswith(f"CAMPAIGN_KAFKA__{setting}: the ")
    assert "'not-there' does not exist: create it" in line


async def test_topics_that_the_service_will_create_are_noted_and_stand_in_nobodys_way(world: World) -> None:
    done = await check("--connect", **world.settings | {"KAFKA__RESULTS_TOPIC": "nt", "KAFKA__CREATE_TOPICS": "true"})
    assert (done.exit_code, done.err) == (0, [])
    assert "note: the results topic 'nt' does not exist yet: `run` creates it" in done.out


async def test_a_journal_with_too_few_partitions_is_one_line(world: World) -> None:
    events = world.settings["KAFKA__EVENTS_TOPICS"]
    await world.topics.grow(events, partitions=3)
    assert await obstacle(world) == (
        f"the journal '{events}-journal' has 2 partitions, '{events}' has 3: give the journal 3 partitions"
    )


async def test_a_journal_that_kafka_may_compact_is_one_line(world: World) -> None:
    journal = await world.topics.create("journal", partitions=2, settings={"cleanup.policy": "compact,delete"})
    assert "compaction eats entries" in await obstacle(world, KAFKA__JOURNAL_TOPIC=journal)


async def test_a_control_topic_that_forgets_or_has_no_order_is_one_line(world: World) -> None:
    forgetful = await world.topics.create("control", settings={"cleanup.policy": "compact,delete"})
    assert "retention removes old holds" in await obstacle(world, KAFKA__CONTROL_TOPIC=forgetful)
    wide = await world.topics.create("control", partitions=2, settings={"cleanup.policy": "compact"})
    assert "has 2 partitions: it needs exactly 1" in await obstacle(world, KAFKA__CONTROL_TOPIC=wide)


@pytest.mark.parametrize(
    "role, settings, cure",
    [
        (
            "RESULTS_TOPIC",
            {"cleanup.policy": "compact"},
            "set it to delete, a compacted topic takes no record without a",
        ),
        (
            "DEAD_LETTER_TOPIC",
            {"cleanup.policy": "compact,delete"},
            "set it to delete, a compacted topic takes no record",
        ),
        ("RESULTS_TOPIC", {"max.message.bytes": "900"}, "max.message.bytes=900: set it to 1048588"),
        ("JOURNAL_TOPIC", {"max.message.bytes": "300000"}, "max.message.bytes=300000: set it to 1048588"),
    ],
)
async def test_a_topic_that_would_not_take_what_is_written_to_it_is_one_line(
    world: World, role: str, settings: dict[str, str], cure: str
) -> None:
    topic = await world.topics.create("unfit", partitions=2, settings=settings)
    line = await obstacle(world, **{f"KAFKA__{role}": topic})
    assert topic in line
    assert cure in line


async def test_a_topic_that_takes_dead_letters_only_when_they_are_cut_is_noted(world: World) -> None:
    topic = await world.topics.create("small", settings={"max.message.bytes": "300000"})
    done = await check("--connect", **world.settings | {"KAFKA__DEAD_LETTER_TOPIC": topic})
    assert (done.exit_code, done.err) == (0, [])
    assert any(topic in line and "what is larger is cut" in line for line in done.out)


async def test_a_refused_key_is_one_line_and_the_key_is_not_in_it(world: World) -> None:
    line = await obstacle(world, API__SERVER_KEY="wrong-key-0815")
    assert line.startswith("CAMPAIGN_API__SERVER_KEY: refused, the platform answered 401; check the key")
    assert "0815" not in line


async def test_a_wrong_path_is_one_line(world: World) -> None:
    url = world.settings["API__URL"] + "s"
    line = await obstacle(world, API__URL=url)
    assert line.startswith(f"CAMPAIGN_API__URL={url}: not the endpoint, the platform answered 404")


async def test_a_platform_that_is_away_is_one_line(world: World) -> None:
    port = unused_port()
    line = await obstacle(world, API__URL=f"http://127.0.0.1:{port}/v2/sms/send/list?token=4711")
    assert line.startswith(
        f"CAMPAIGN_API__URL=http://127.0.0.1:{port}/v2/sms/send/list: 127.0.0.1:{port} cannot be reached"
    )
    assert "4711" not in line


async def test_all_that_is_in_the_way_is_said_at_once(world: World) -> None:
    done = await check(
        "--connect",
        **world.settings | {"KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_port()}", "API__SERVER_KEY": "wrong"},
    )
    assert (done.exit_code, len(done.err)) == (1, 2)

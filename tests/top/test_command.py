"""`top` over a real port: the status as it is, a live screen on a terminal, and one line where there is none."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any

import orjson
import pytest
import pytest_asyncio

from consumer.demo.surroundings import plain_environment
from consumer.edge.http_server import HttpServer
from consumer.service.status_shape import Health
from tests.edge.support import status

OK, FAILED, MISUSED = 0, 1, 2
TOKEN = "a-token-of-some-length"


class Nobody:
    """Knows of no send."""

    def newest(self) -> Mapping[str, object]:
        return {}

    def event(self, event_id: str) -> Mapping[str, object]:
        return {"event_id": event_id}

    def send(self, name: str) -> Mapping[str, object]:
        return {"send_id": name}


class Served:
    """A service's port; `status` is what it says."""

    def __init__(self, token: str | None = None) -> None:
        self.status: dict[str, Any] = dict(status())
        self.server = HttpServer(
            host="127.0.0.1",
            port=0,
            metrics=lambda _accept: ("text/plain", b""),
            health=Health,
            ready=Health,
            status=lambda: self.status,
            finder=Nobody(),
            token=token,
        )


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    there = Served()
    await there.server.start()
    yield there
    await there.server.stop()


@pytest_asyncio.fixture
async def guarded() -> AsyncIterator[Served]:
    there = Served(TOKEN)
    await there.server.start()
    yield there
    await there.server.stop()


async def start(
    *arguments: str, output: int = asyncio.subprocess.PIPE, settings: Mapping[str, str] = MappingProxyType({})
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "consumer", "top", *arguments,
        stdout=output, stderr=asyncio.subprocess.PIPE, env={**plain_environment(), **settings},
    )  # fmt: skip


async def top(*arguments: str, **settings: str) -> tuple[int | None, str, str]:
    process = await start(*arguments, settings=settings)
    async with asyncio.timeout(60):
        said, complained = await process.communicate()
    return process.returncode, said.decode(), complained.decode()


async def test_json_is_the_status_itself_from_where_the_settings_say(served: Served) -> None:
    at = {"CAMPAIGN_HTTP__HOST": "0.0.0.0", "CAMPAIGN_HTTP__PORT": str(served.server.port)}  # noqa: S104 - nothing listens there
    code, said, complained = await top("--once", "--json", **at)
    assert (code, complained) == (OK, "")
    assert [orjson.loads(line) for line in said.splitlines()] == [orjson.loads(orjson.dumps(served.status))]


async def test_a_look_at_a_pipe_is_a_picture_with_rates(served: Served) -> None:
    code, said, complained = await top("--once", "--every", "0.1", "--url", served.server.url)
    assert (code, complained) == (OK, "")
    assert said.count("WARN  sending; campaign 421 is held by operators") == 1
    assert "read 0/s" in said
    assert max(map(len, said.splitlines())) <= 80


async def test_a_token_is_sent_where_the_settings_have_one_and_asked_for_where_they_have_none(guarded: Served) -> None:
    address = f"127.0.0.1:{guarded.server.port}"
    code, said, complained = await top("--once", "--json", "--url", address)
    assert (code, said) == (FAILED, "")
    assert complained == f"http://{address}/status: asks for a token (401): give it in CAMPAIGN_HTTP__TOKEN\n"
    code, said, complained = await top(
        "--once", "--json", "--url", address, CAMPAIGN_HTTP__TOKEN="another-token-of-length"
    )
    assert (code, said) == (FAILED, "")
    assert "CAMPAIGN_HTTP__TOKEN is not the service's" in complained
    code, said, complained = await top("--once", "--json", "--url", address, CAMPAIGN_HTTP__TOKEN=TOKEN)
    assert (code, complained) == (OK, "")


async def test_where_nothing_listens_or_something_else_does_it_is_said_in_a_line(served: Served) -> None:
    code, said, complained = await top("--url", "http://127.0.0.1:1")
    assert (code, said) == (FAILED, "")
    assert complained.startswith("http://127.0.0.1:1/status: nothing answers (")
    assert "--url" in complained
    assert len(complained.splitlines()) == 1
    served.status = {"state": "running"}
    code, said, complained = await top("--url", served.server.url)
    assert (code, said) == (FAILED, "")
    assert "is no status of a campaign-consumer (HTTP 200)" in complained


async def test_json_goes_on_line_by_line_over_a_restart_until_a_signal_which_is_no_failure(served: Served) -> None:
    process = await start("--json", "--every", "0.1", "--url", served.server.url)
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(60):
        await process.stdout.readline()
        port = served.server.port
        await served.server.stop()
        assert b"nothing answers" in await process.stderr.readline()
        again = Served()
        again.server._port = port  # noqa: SLF001 - the same port again
        again.status["member"] = "another"
        await again.server.start()
        while orjson.loads(await process.stdout.readline())["member"] != "another":
            pass
        process.send_signal(signal.SIGINT)
        await process.communicate()
        await again.server.stop()
    assert process.returncode == OK


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_terminal_is_kept_up_to_date_and_given_back(served: Served, number: signal.Signals) -> None:
    ours, theirs = pty.openpty()
    process = await start(
        "--every",
        "0.1",
        "--url",
        served.server.url,
        output=theirs,
        settings={"COLUMNS": "80", "LINES": "24", "TERM": "xterm"},
    )
    os.close(theirs)
    screen = b""

    async def until(words: bytes) -> None:
        nonlocal screen
        async with asyncio.timeout(30):
            while words not in screen:
                screen += await asyncio.to_thread(os.read, ours, 65_536)

    await until(b"WARN")
    served.status["verdict"] = {"grade": "bad", "sentence": "stopped: 1 of 3 partitions", "causes": []}
    await until(b"stopped: 1 of 3 partitions")
    process.send_signal(number)
    await until(b"\x1b[?1049l")
    async with asyncio.timeout(30):
        assert await process.wait() == OK
    os.close(ours)


@pytest.mark.parametrize("arguments", [["--every", "0"], ["--every", "nan"], ["everything"]])
async def test_what_makes_no_sense_is_bad_usage(arguments: list[str]) -> None:
    assert (await top(*arguments))[0] == MISUSED

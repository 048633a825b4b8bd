"""`check` says what would be used, and with --connect each thing that is in the way, before a service starts."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest_asyncio

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

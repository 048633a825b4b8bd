"""A sandbox, somebody who posts to it and somebody who asks it. Never touches a broker."""

from collections.abc import AsyncIterator

import pytest

from consumer.sandbox.client import SandboxClient
from consumer.sandbox.server import Sandbox
from tests.sandbox.support import Sender, running, sender_to


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(params=["in this process", "as a process"])
async def address(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Where a sandbox sends from, on asyncio's own loop and on uvloop's."""
    if request.param == "in this process":
        async with Sandbox() as sandbox:
            yield sandbox.url
    else:
        async with running() as sandbox:
            yield sandbox.url


@pytest.fixture
async def platform(sandbox: Sandbox) -> AsyncIterator[Sender]:
    async with sender_to(sandbox.url) as sender:
        yield sender


@pytest.fixture
async def ask(sandbox: Sandbox) -> AsyncIterator[SandboxClient]:
    async with SandboxClient(sandbox.url) as client:
        yield client

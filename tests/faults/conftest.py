"""Runs every fault on both event loops. Owns no fault."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config,  # noqa: ARG001 # the hook is called by these names
    item: pytest.Item,  # noqa: ARG001
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The service runs on uvloop; whoever has none runs on asyncio's own loop, and sockets differ there."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
async def nothing_goes_wrong_behind_our_back() -> Any:
    """Fails a test in which the loop was told of an error that nobody caught."""
    told: list[Mapping[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    yield
    assert told == []

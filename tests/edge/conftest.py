"""What tests here share: an HTTP server that runs; and log set-up, which belongs to a process, as it was before."""

import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import structlog

from consumer.edge.http_server import HttpServer
from tests.edge.http_service import Service


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    library = logging.getLogger("aiokafka")  # a command that ran in this process may have silenced it
    silenced = (library.propagate, library.disabled)
    library.propagate, library.disabled = True, False
    yield
    library.propagate, library.disabled = silenced
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
async def server(service: Service) -> AsyncIterator[HttpServer]:
    server = service.server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        yield client

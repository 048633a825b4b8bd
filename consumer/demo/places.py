"""Finds each broker a folder and ports that nobody else gets by chance. Starts nothing."""

import base64
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from consumer.demo.broker import BrokerPlace

# Below those that the kernel gives to outgoing connections (from 32768 on): nobody gets a stopped broker's by chance.
_PORTS = range(20_000, 32_000)


def find_places(count: int, folder: Path) -> Iterator[BrokerPlace]:
    """Places for so many brokers, numbered from 1, on ports that are free now."""
    ports = _free_ports(2 * count)
    for number in range(1, count + 1):
        yield BrokerPlace(
            number=number, port=next(ports), controller_port=next(ports), folder=folder / f"broker-{number}"
        )


def _free_ports(count: int) -> Iterator[int]:
    with ExitStack() as held:  # all at once, so that no two are the same
        found: list[int] = []
        while len(found) < count:
            candidate = held.enter_context(socket.socket())
            port = secrets.choice(_PORTS)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    yield from found


def new_cluster_id() -> str:
    """16 random bytes, as Kafka writes them; not one that begins as an option does."""
    while True:
        cluster_id = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode("ascii").rstrip("=")
        if not cluster_id.startswith("-"):
            return cluster_id

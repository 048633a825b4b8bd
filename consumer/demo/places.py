"""Chooses a folder and free ports for each broker. Starts nothing."""

import base64
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from consumer.demo.broker import BrokerPlace

# Below the ports that the kernel gives to outgoing connections (from 32768 on), which could take a stopped broker's port.
_PORTS = range(20_000, 32_000)


def find_places(count: int, folder: Path) -> Iterator[BrokerPlace]:
    """Yield places for `count` brokers, numbered from 1, on ports that are free now."""
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
    """Return 16 random bytes in Kafka's encoding; never one that begins with a hyphen, as an option does."""
    while True:
        cluster_id = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode("ascii").rstrip("=")
        if not cluster_id.startswith("-"):
            return cluster_id

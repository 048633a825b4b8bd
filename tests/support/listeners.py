"""Gives a broker of ours one more listener. Knows brokers by their properties file alone."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from consumer.demo.apache_kafka import ApacheKafka


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address more to reach a broker at; `settings` are further properties, which win over its own."""

    name: str
    address: str
    protocol: str = "PLAINTEXT"
    advertised: str | None = None
    """Where clients that come this way are sent; None: to `address`."""
    settings: Mapping[str, str] = field(default_factory=dict)


async def add_listener(kafka: ApacheKafka, listener: Listener) -> None:
    """Restart the first broker, which then listens there, too."""
    await kafka.kill_broker()
    file = kafka.broker().place.properties_file
    properties = dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines())
    properties["listeners"] += f",{listener.name}://{listener.address}"
    properties["advertised.listeners"] += f",{listener.name}://{listener.advertised or listener.address}"
    plain = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
    known = properties.get("listener.security.protocol.map", plain)
    properties["listener.security.protocol.map"] = f"{known},{listener.name}:{listener.protocol}"
    properties |= listener.settings
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()), "utf-8")
    await kafka.start_broker()


def free_address() -> str:
    """Return a loopback address on which nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"

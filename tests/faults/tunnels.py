"""A proxy that opens tunnels to whatever it is asked for, until it wants a password. Speaks TLS with nobody."""

import asyncio
import contextlib
from dataclasses import dataclass, field

from tests.faults.raw_server import Peer

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
WANTS_PASSWORD = b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n'


@dataclass(slots=True)
class Tunnels:
    """The script of a raw server, and the heads in which it was asked for tunnels."""

    heads: list[str] = field(default_factory=list)
    wants_password: bool = False

    async def __call__(self, peer: Peer) -> None:
        head = (await peer.head()).decode()
        self.heads.append(head)
        if self.wants_password:
            peer.say(WANTS_PASSWORD)
            peer.close()
            return
        host, _, port = head.split()[1].rpartition(":")
        await join(peer, host, int(port), first=ESTABLISHED)


async def join(peer: Peer, host: str, port: int, *, first: bytes = b"") -> None:
    """Carry bytes between a client and a server until one of them goes away; `first` goes to the client before all others."""
    reader, writer = await asyncio.open_connection(host, port)

    async def back() -> None:
        with contextlib.suppress(ConnectionResetError):
            peer.say(first)
            while data := await reader.read(65_536):
                peer.say(data)
        peer.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(back())
        while not peer.is_gone:
            writer.write(bytes(peer.received))
            peer.received.clear()
            await peer.news()
        writer.close()

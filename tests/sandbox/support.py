"""Small words for the sandbox's tests. Never touches a broker."""

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Loading the machine's certificates takes longer than most tests."""
KEY = "sandbox-key"
HEADERS = {"Authorization": f"ServerKey {KEY}", "Content-Type": "application/json"}
MARIA = {"phoneE164": "+34600111222", "customData": "order-1"}
PAUL = {"phoneE164": "+34600333444", "customData": "order-2"}
ZOE = {"phoneE164": "+34600555666", "customData": "order-3"}


def send(*contacts: object, campaign: object = 421, **options: object) -> dict[str, object]:
    """The document of one request."""
    return {"campaignId": campaign, **options, "contacts": list(contacts)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Posts to one endpoint with the right key."""

    http: httpx.AsyncClient
    url: str

    async def post(self, document: object, **headers: str) -> httpx.Response:
        """POST a document, or bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await self.http.post(self.url, content=body, headers=HEADERS | headers)

    async def raw(self, document: object) -> bytes:
        """POST a document over a bare socket and return every byte until the end of the connection."""
        reader, writer = await self.open(document)
        try:
            return await reader.read()
        finally:
            writer.close()

    async def open(self, document: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """POST a document over a bare socket and wait for nothing."""
        url = httpx.URL(self.url)
        body = json.dumps(document).encode()
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST {url.path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()
        return reader, writer


@asynccontextmanager
async def sender_to(url: str) -> AsyncIterator[Sender]:
    """A sender for as long as it is needed."""
    async with httpx.AsyncClient(trust_env=False, timeout=20.0, verify=NO_TLS) as http:
        yield Sender(http=http, url=url)


@dataclass(slots=True, kw_only=True)
class Running:
    """`campaign-consumer sandbox` as a process that listens."""

    process: asyncio.subprocess.Process
    url: str

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Signal it; return exit code, the rest of its output, and its errors."""
        self.process.send_signal(number)
        async with asyncio.timeout(10):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


async def start_command(*arguments: str) -> asyncio.subprocess.Process:
    """Start the command as a process of its own, with pipes."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "consumer",
        "sandbox",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Running]:
    """The command on a free port, from the line that says it listens."""
    process = await start_command("--port", "0", *arguments)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("sandbox listening on http://127.0.0.1:"), line
        yield Running(process=process, url=line.split()[-1])
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()

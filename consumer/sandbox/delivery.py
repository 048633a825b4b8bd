"""Writes an answer to its connection, whole or spoilt (broken on purpose). Never decides what is answered."""

import asyncio
import socket
import struct
from typing import NoReturn, assert_never

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from consumer.sandbox.replies import Reply, Spoiling, Spoilt, phrase

GARBAGE = b"\x16\x03\x01\x02\x00 this was never HTTP \x00\xff\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, zero seconds: closing sends RST and drops what was not sent."""


class Nothing(web.StreamResponse):
    """No answer from aiohttp: the connection is closed, or `spoil` has written to it."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 - aiohttp's name
        """Raise what aiohttp takes for a client that has closed the connection; it logs nothing then."""
        raise ConnectionResetError("the sandbox ended this connection")


def whole(reply: Reply) -> web.Response:
    """Return aiohttp's form of a whole answer."""
    if not reply.headers:
        return web.Response(status=reply.status, body=reply.body, content_type="application/json")
    headers = CIMultiDict({"Content-Type": "application/json"})
    headers.update(reply.headers)
    return web.Response(status=reply.status, body=reply.body, headers=headers)


async def spoil(request: web.BaseRequest, spoilt: Spoilt) -> web.StreamResponse:
    """Break the answer in the given way."""
    transport = request.transport
    if transport is None:
        return Nothing()
    match spoilt.how:
        case Spoiling.HANG:
            await _until_the_client_leaves()
        case Spoiling.RESET:
            _socket(transport).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            transport.abort()
        case Spoiling.CLOSE:
            transport.close()
        case Spoiling.HALF_HEAD:
            _write_and_close(transport, _head(spoilt.reply)[:-20])
        case Spoiling.HALF_BODY:
            body = spoilt.reply.body
            _write_and_close(transport, _head(spoilt.reply) + body[: len(body) // 2])
        case Spoiling.GARBAGE:
            _write_and_close(transport, GARBAGE)
        case _:
            assert_never(spoilt.how)
    return Nothing()


async def _until_the_client_leaves() -> NoReturn:
    """Wait until the server cancels us: when the client closes the connection, or when the server stops."""
    await asyncio.Event().wait()
    raise AssertionError("this event is never set")


def _socket(transport: asyncio.Transport) -> socket.socket:
    found: socket.socket = transport.get_extra_info("socket")
    return found


def _write_and_close(transport: asyncio.Transport, data: bytes) -> None:
    transport.write(data)
    transport.close()


def _head(reply: Reply) -> bytes:
    return (
        f"HTTP/1.1 {reply.status} {phrase(reply.status)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(reply.body)}\r\n\r\n"
    ).encode()

"""Reads lines from a file or a pipe without blocking the event loop. Never parses them."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from threading import Thread
from typing import NamedTuple

CHUNK_BYTES = 256 * 1024
CHUNKS_AHEAD = 4


class Lines(NamedTuple):
    """Whole lines, the first of them at `first_number` (from 1)."""

    first_number: int
    lines: list[bytes]


async def lines_of(descriptor: int) -> AsyncIterator[Lines]:
    """Yield lines as soon as they arrive; the last one may lack its line feed."""
    first_number, rest = 1, b""
    async for chunk in _chunks(descriptor):
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            yield Lines(first_number, lines)
            first_number += len(lines)
    if rest:
        yield Lines(first_number, [rest])


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    # A daemon thread with unbuffered reads: an idle pipe blocks neither the event loop nor the end of the process.
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue(CHUNKS_AHEAD)

    def hand_over(chunk: bytes | OSError) -> None:
        asyncio.run_coroutine_threadsafe(chunks.put(chunk), loop).result()

    def read() -> None:
        with contextlib.suppress(RuntimeError, CancelledError):  # the loop has ended: the rest is not needed
            try:
                while chunk := os.read(descriptor, CHUNK_BYTES):
                    hand_over(chunk)
            except OSError as error:
                hand_over(error)
            hand_over(b"")

    Thread(target=read, name="reads-lines", daemon=True).start()
    while chunk := await chunks.get():
        if isinstance(chunk, OSError):
            raise chunk
        yield chunk

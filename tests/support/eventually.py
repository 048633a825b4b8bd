"""Waits for what a test is about, by asking for it. Never waits longer than needed, nor for ever."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_ASK_AGAIN_SECONDS = 0.02


async def eventually(probe: Callable[[], Awaitable[T | None]], *, within_seconds: float, what: str) -> T:
    """The probe's first answer that is true. TimeoutError, naming `what`, when there was none in time."""
    answer: T | None = None
    try:
        async with asyncio.timeout(within_seconds):
            while not (answer := await probe()):  # noqa: ASYNC110 - the world outside this process sets no Event
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
    except TimeoutError as error:
        raise TimeoutError(f"not within {within_seconds:g} s: {what} (last answer: {answer!r})") from error
    return answer

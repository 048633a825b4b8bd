"""Facts on their way to the task that owns the pipeline, and a bell that wakes it. Decides nothing."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from consumer.core.terms import Now

Fact = Callable[[Now], None]
T = TypeVar("T")


class Inbox:
    """Facts in the order in which they were told. Bounded by what is out: each fact answers one command."""

    def __init__(self) -> None:
        self._facts: deque[Fact] = deque()
        self._bell = asyncio.Event()

    def tell(self, fact: Fact) -> None:
        """Hand a fact over; it is applied in the owner's next turn."""
        self._facts.append(fact)
        self._bell.set()

    async def ask(self, fact: Callable[[Now], T]) -> T:
        """Hand a fact over and wait for what comes of it."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def apply(now: Now) -> None:
            result = fact(now)
            if not answer.cancelled():
                answer.set_result(result)

        self.tell(apply)
        return await answer

    def ring(self) -> None:
        """Let the owner take a turn although there is no fact."""
        self._bell.set()

    async def wait(self, seconds: float | None) -> None:
        """Wait for a fact, or until `seconds` have passed."""
        if self._facts:
            await asyncio.sleep(0)  # others have their turn, however many facts there are
        elif seconds is None:
            await self._bell.wait()
        elif seconds > 0:
            timer = asyncio.get_running_loop().call_later(seconds, self._bell.set)
            try:
                await self._bell.wait()
            finally:
                timer.cancel()
        self._bell.clear()

    def take(self) -> deque[Fact]:
        """Return all facts told so far."""
        facts, self._facts = self._facts, deque()
        return facts

"""A queue of facts for the task that owns the pipeline; a new fact wakes that task. Decides nothing."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from consumer.core.terms import Now

Fact = Callable[[Now], None]
T = TypeVar("T")


class Inbox:
    """Facts in the order in which they came. Bounded by the commands in flight: each fact ends one command."""

    def __init__(self) -> None:
        self._facts: deque[Fact] = deque()
        self._arrived = asyncio.Event()

    def tell(self, fact: Fact) -> None:
        """Queue a fact; it is applied in the engine's next turn."""
        self._facts.append(fact)
        self._arrived.set()

    async def ask(self, fact: Callable[[Now], T]) -> T:
        """Queue a fact, and return what applying it has returned."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def apply(now: Now) -> None:
            result = fact(now)
            if not answer.cancelled():
                answer.set_result(result)

        self.tell(apply)
        return await answer

    async def wait(self, seconds: float | None) -> None:
        """Wait for a fact, or until `seconds` have passed."""
        if self._facts:
            await asyncio.sleep(0)  # let other tasks run, however many facts there are
        elif seconds is None:
            await self._arrived.wait()
        elif seconds > 0:
            timer = asyncio.get_running_loop().call_later(seconds, self._arrived.set)
            try:
                await self._arrived.wait()
            finally:
                timer.cancel()
        self._arrived.clear()

    def take(self) -> deque[Fact]:
        """Return all facts queued so far, and empty the queue."""
        facts, self._facts = self._facts, deque()
        return facts

    def put_back(self, facts: deque[Fact]) -> None:
        """Queue facts that were taken, and not applied, before all that have come since."""
        facts += self._facts
        self._facts = facts

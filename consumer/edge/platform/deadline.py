"""A time-out of the running task that is moved often. Never asks what it waits for.

`asyncio.timeout` makes a timer for each move. Here one that is moved later keeps its timer, which finds out when it fires:
most requests end before that, so each of them has one timer and not two.
"""

import asyncio
from types import TracebackType
from typing import Self


class Deadline:
    """Ends what its block waits for with a `TimeoutError` at an instant by the loop's clock, once one is set."""

    __slots__ = ("_at", "_cancelling", "_has_passed", "_loop", "_task", "_timer", "_timer_at")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._at = 0.0
        self._has_passed = False

    def set(self, at: float) -> None:
        """Wait until `at`, whatever was set before."""
        self._at = at
        if self._timer is not None:
            if at >= self._timer_at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() < self._at:
            self.set(self._at)
            return
        self._has_passed = True
        self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._has_passed and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

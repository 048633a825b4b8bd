"""The event loop of one simulated process: timers and turns as asyncio's, on the world's time. Opens nothing, waits never.

The world says when a process may run, and for how long; whoever is frozen or dead is simply not asked.
"""

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


class SimulatedTask(asyncio.Task[T]):
    """A task whose place in a set is the same in every run: the loop's own go by their address."""

    serial = 0

    def __hash__(self) -> int:
        return self.serial


class ProcessLoop(asyncio.AbstractEventLoop):
    """What asyncio needs of a loop, and no more: whatever else it is asked for is not implemented, and says so."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self.tasks: list[SimulatedTask[Any]] = []
        self.complaints: list[dict[str, Any]] = []
        """What no task was there to hear of."""

    # ---------------------------------------------------------------- the world's side

    def has_work(self) -> bool:
        """Return whether anything may run now."""
        return bool(self._ready) or (bool(self._timers) and self._timers[0][0] <= self._now())

    def next_timer_in(self) -> float | None:
        """Return seconds until the next timer rings, None where none is set."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        return max(0.0, timers[0][0] - self._now()) if timers else None

    def run_one(self) -> None:
        """Run what has waited longest; timers that are due come behind what is ready, as in asyncio."""
        if not self._ready:
            self._ring(self._now())
        while self._ready:
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001  # what asyncio's own loops do
                return

    def _ring(self, until: float) -> None:
        timers = self._timers
        while timers and timers[0][0] <= until:
            self._ready.append(heapq.heappop(timers)[2])

    def bury(self) -> None:
        """Cancel every task and let each come to its end, in no time."""
        for task in self.tasks:
            task.cancel()
        while not all(task.done() for task in self.tasks):
            if not self._ready:
                assert self._timers, [task for task in self.tasks if not task.done()]
                self._ring(self._timers[0][0])
            events._set_running_loop(self)  # noqa: SLF001  # see above
            self.run_one()

    # ---------------------------------------------------------------- asyncio's side

    def time(self) -> float:
        """Return the process's monotonic clock."""
        return self._now()

    def call_soon(  # type: ignore[override]  # types of arguments are of no use here
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Have something run behind what is ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]  # see above
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Have something run after so many seconds."""
        return self.call_at(self._now() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # see above
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Have something run at an instant of the process's clock."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]  # see above
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> SimulatedTask[T]:
        """Start a task."""
        task = SimulatedTask(coro, loop=self, name=name, context=context)
        task.serial = len(self.tasks)
        self.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Note what went wrong where nobody waits for it."""
        self.complaints.append(context)

    def get_debug(self) -> bool:
        """Return whether asyncio should watch itself."""
        return False

    def is_running(self) -> bool:
        """Return whether the loop turns."""
        return True

    def is_closed(self) -> bool:
        """Return whether the loop has ended."""
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are passed over when their time comes."""

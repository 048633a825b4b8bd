"""One process of the service: the real service on a loop of its own, with the world's doubles for its edges.

It may be frozen, killed, stopped and woken; what it does in between is its own affair.
"""

import asyncio
from asyncio import events
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, cast

from config.settings import SETTLING_SECONDS
from consumer.core.sending.delivery import RandomSource
from consumer.core.terms import Instant, Now, Partition, SendId, Ticks
from consumer.service.facts import Facts
from consumer.service.service import MemberIdentity, Service
from consumer.service.service import World as Edges
from consumer.service.status import StatusBoard
from tests.simulation.broker import SimulatedJournal, SimulatedResults
from tests.simulation.judge import ProcessEndedError, Violation
from tests.simulation.loop import ProcessLoop, SimulatedTask
from tests.simulation.member import Member
from tests.simulation.operators import SimulatedControl
from tests.simulation.platform import SimulatedPlatform
from tests.simulation.scenario import EPOCH, OUR_GROUP

if TYPE_CHECKING:
    from tests.simulation.world import World

SEND_SECONDS = 1.0
"""Of the grace, beside a request's time and settling: for what waits in windows."""

CONNECT_SECONDS = 5.0
"""Before a request's first byte, at most."""

STOP_SLACK_SECONDS = 8.0
"""A commit that is not answered, and leaving."""


class Process:
    """A member of the group, as the world sees it."""

    def __init__(self, world: "World", name: str, slot: int, *, restarts: bool, group: str) -> None:
        self.world = world
        self.name = name
        self.slot = slot
        self.restarts = restarts
        self.group = group
        self.alive = True
        self.frozen_until: float | None = None
        self.skew = 0.0
        """How far its wall clock is off."""
        self.crash_after: int | None = None
        """Steps that it has left."""
        self.steps = 0
        self._frozen_at = 0.0
        self._counts_sleep = True
        self._asleep = 0.0
        """Seconds that its monotonic clock did not count."""
        self.loop = ProcessLoop(lambda: world.time - self._asleep)  # type: ignore[abstract]  # nothing here needs more
        self.stop: asyncio.Event | None = None
        self._main: SimulatedTask[None] | None = None
        self._sends = 0
        self._random: Random = world.dice.stream(f"process {slot}")
        self.member = Member(self)
        self.service: Service | None = None
        self.board: StatusBoard | None = None

    # ---------------------------------------------------------------- its life

    def start(self) -> None:
        """Begin to run."""
        events._set_running_loop(self.loop)  # noqa: SLF001  # what a loop's own `run` would do
        world = self.world
        self.stop = stop = asyncio.Event()
        self.service = service = Service(
            identity=MemberIdentity(
                group=self.group, process=self.name, version="0", results_topic="results", dead_letter_topic="letters"
            ),
            policies=world.policies,
            world=Edges(
                consumer=self.member,
                journal=SimulatedJournal(self),
                control=SimulatedControl(self),
                results=SimulatedResults(self),
                platform=SimulatedPlatform(self),
                clock=self,
                random_source=RandomSource(jitter=self._random.random, send_id=self._send_id),
                facts=cast("Facts", Tidings(self)),
            ),
            grace_seconds=world.scenario.api_seconds + SETTLING_SECONDS + SEND_SECONDS,
            api_timeout_seconds=world.scenario.api_seconds,
        )
        self.board = StatusBoard(
            service, request_seconds=world.scenario.api_seconds + CONNECT_SECONDS, kafka_troubled_at=lambda: None
        )
        self._main = self.loop.create_task(service.run(stop), name=self.name)

    def now(self) -> Now:
        """Return both clocks, as the process reads them."""
        time = self.world.time
        return Now(Instant(EPOCH + time + self.skew), Ticks(time))

    def _send_id(self) -> SendId:
        self._sends += 1
        return SendId(f"{self.name}/{self._sends}")

    def run(self, steps: int) -> None:
        """Run so many callbacks, as far as there is something to run."""
        events._set_running_loop(self.loop)  # noqa: SLF001  # see above
        loop, main = self.loop, self._main
        assert main is not None
        for _ in range(steps):
            if not loop.has_work():
                return
            if self.crash_after is not None:
                if self.crash_after <= 0:
                    self.world.ended(self, "crash")
                    return
                self.crash_after -= 1
            loop.run_one()
            self.steps += 1
            if main.done():
                self._ended(main)
                return
            if self.frozen_until is not None:
                return

    def _ended(self, main: SimulatedTask[None]) -> None:
        assert self.stop is not None
        error = None if main.cancelled() else main.exception()
        self.world.raise_what_was_broken()
        if error is not None:
            raise ProcessEndedError("a process ended by itself", repr(_first(error))) from error
        if not self.stop.is_set():
            raise ProcessEndedError("a process ended by itself", self.name)
        if self.loop.complaints:
            raise ProcessEndedError("something failed and nobody heard of it", self.loop.complaints)
        self.world.ended(self, "interrupted" if main.cancelled() else "stopped")

    def terminate(self) -> None:
        """Send SIGTERM; a second one stops at once."""
        if not self.alive or self.stop is None or self._main is None:
            return
        if self.stop.is_set():
            self.loop.call_soon(self._main.cancel)
            return
        self.loop.call_soon(self.stop.set)
        self.member.stops = True
        world, patience = self.world, self.world.scenario.api_seconds + SETTLING_SECONDS + SEND_SECONDS
        if self.frozen_until is None and not self._asleep:
            world.after(patience + STOP_SLACK_SECONDS, self._should_have_stopped)

    def _should_have_stopped(self) -> None:
        if self.alive and self.frozen_until is None and not self.member.was_frozen:
            raise Violation("a stop takes longer than its grace", self.name)

    def freeze(self, seconds: float, *, counted: bool) -> None:
        """Stand still; where it is not `counted`, the monotonic clock stands still with it."""
        if self.frozen_until is not None or not self.alive:
            return
        began_at = self.world.time
        until = self.frozen_until = began_at + seconds
        self._counts_sleep = counted
        self._frozen_at = began_at
        self.member.was_frozen = True
        self.world.note(self.name, "freezes", seconds)
        self.world.group.falls_silent(self.member, seconds)
        self.world.after(seconds, lambda: self.wake() if self.frozen_until == until else None)

    def wake(self) -> None:
        """Go on."""
        if self.frozen_until is None:
            return
        self.frozen_until = None
        if not self._counts_sleep:
            self._asleep += self.world.time - self._frozen_at
        self.world.note(self.name, "wakes", "")

    def holds_no_more_than_it_may(self) -> None:
        """Hold what the process says that it holds against its bound, where it reads past what has no room."""
        if self.service is not None and self.world.policies.read_ahead:
            held, bound = self.service.pipeline.buffer.held_events, self.world.scenario.buffer_events
            if held > bound:
                raise self.world.judge.broken_by("a process holds more records than its buffer may", held, bound)

    def bury(self) -> None:
        """End every task; nothing that is done meanwhile reaches the world."""
        self.alive = False
        self.loop.bury()

    # ---------------------------------------------------------------- what reaches it

    def deliver(self, act: Callable[..., object], *args: object) -> None:
        """Let something arrive from outside: it is dealt with when the process runs."""
        if self.alive:
            self.loop.call_soon(act, *args)

    def answer(self, future: "asyncio.Future[Any]", value: object) -> None:
        """Answer a question of the process, if it still waits."""
        self.deliver(partial(_answer, future, value))

    async def waits(self, seconds: float) -> None:
        """Wait for something outside that takes so long."""
        future = self.loop.create_future()
        self.world.after(seconds, partial(self.answer, future, None))
        await future


def _answer(future: "asyncio.Future[Any]", value: object) -> None:
    if future.done():
        return
    if isinstance(value, BaseException):
        future.set_exception(value)
    else:
        future.set_result(value)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


ABOUT_ANSWERS = frozenset({"send_posted", "send_answered", "accepted", "results_settled", "send_retried"})
"""Facts that are told between a request's first byte and the proof of its outcome: if telling fails, nothing else does."""


class Tidings:
    """Hears what the service tells: remembers what was reached, and tells the judge what he cannot see."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def __getattr__(self, name: str) -> Callable[..., None]:
        reached, dice = self._process.world.reached, self._process.world.dice

        def told(*_args: object, **_words: object) -> None:
            reached[name] += 1
            if name in ABOUT_ANSWERS and dice.strikes("telling_fails"):
                raise ArithmeticError(name)

        setattr(self, name, told)  # asked for once
        return told

    def partition_lost(self, partition: Partition, *, claimed_by: str) -> None:
        """The process has dropped what it had of the partition."""
        process = self._process
        process.world.reached["partition_lost"] += 1
        process.world.note(process.name, "has lost", (partition.number, claimed_by))
        process.world.judge.let_go(process.name, partition.number)

    def partition_stopped(self, partition: Partition, *, why: str, cure: str) -> None:
        """There is one reason for that here, in our group: a journal that was deleted."""
        self._process.world.reached["partition_stopped"] += 1
        judge = self._process.world.judge
        if self._process.group != OUR_GROUP:
            return  # its journal is not theirs
        if self._process.alive and partition.number not in judge.abandoned:
            raise judge.broken_by("a partition stopped although its journal is there", partition, f"{why}; {cure}")

    def partition_accepted(self, partition: Partition) -> None:
        """The process has dropped what it had of a partition that begins anew."""
        self._process.world.reached["partition_accepted"] += 1
        self._process.world.judge.let_go(self._process.name, partition.number)

    def commit_skipped(self, partition: Partition, *, watermark: int, committed: int) -> None:
        """The process goes on further on."""
        self._process.world.reached["commit_skipped"] += 1
        self._process.world.note(self._process.name, "skips", (partition.number, watermark, committed))

"""Whether a partition stands still while every probe is green, and whether lag comes to its end. Asks probes, as people do.

What the partition has to do and whether it moves, the judge knows from outside; of the service, only the probes and
its `/status` are asked.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, cast

from consumer.service.lag import LagReading
from tests.simulation.judge import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World

EVERY_SECONDS = 5.0
BOUND_SECONDS = 80.0
"""Sixty that the probes grant, a window, a claim anew, and the interval between two looks."""

STANDS_STILL = "a partition stands still, and every probe is green"
LAG_DIFFERS = "the parts of a lag do not add up to it"
LAG_SECONDS = 80.0
"""A rebalance that has just begun may wait 45 s for a member that is gone; between two looks at the logs are 5 s."""


class Standstill:
    """Looks at a world again and again."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._stands: dict[int, tuple[tuple[int, ...], float]] = {}

    def begin(self) -> None:
        """Look every few seconds from now on."""
        self._world.after(EVERY_SECONDS, self._look)

    def _look(self) -> None:
        world, judge = self._world, self._world.judge
        all_green = self._probes_are_green()
        self._add_lag_up()
        for number in range(world.scenario.partitions):
            stand = judge.stand_of(number)
            before, since = self._stands.get(number, (None, 0.0))
            if stand != before or not judge.unsettled_in(number) or judge.waits_for_a_person(number):
                self._stands[number] = (stand, world.time)
            elif all_green and world.time - since > BOUND_SECONDS:
                judge.broken_by(STANDS_STILL, number, round(world.time - since))
        self.begin()

    def _probes_are_green(self) -> bool:
        """Ask both probes of everybody: they remember how they found things. A frozen one answers nothing."""
        world = self._world
        green = bool(world.processes)
        for process in world.processes:
            if process.frozen_until is not None or process.board is None:
                green = False
                continue
            health, ready = process.board.health(), process.board.ready()
            for reason in (*health.reasons, *ready.reasons):
                world.reached[f"probe: {reason.partition(' s: ')[2]}"] += 1
            green = green and health.ok and ready.ok
        return green

    def _add_lag_up(self) -> None:
        """Hold the parts of each lag that is known against it, at every process. Reads, and changes no world."""
        for process in self._world.processes:
            service = process.service
            if service is None or process.frozen_until is not None or process.board is None:
                continue
            reading = LagReading(service.pipeline, service.partitions, service.clock.now())
            for lane in service.pipeline.lanes.values():
                found = reading.of(lane)
                parts = cast("Collection[int]", {} if found.parts is None else found.parts.values())
                if found.lag is not None and (sum(parts) != found.lag or min(parts) < 0):
                    self._world.judge.broken_by(LAG_DIFFERS, lane.partition.number, *parts)

    def lag_is_over(self) -> bool:
        """Return whether everybody shows no lag for what is theirs, and every partition is somebody's."""
        shown = set()
        for process in self._world.processes:
            if process.board is None:
                return False
            for partition in process.board.status()["partitions"]:
                if partition["lag"] == 0:
                    shown.add(partition["partition"])
        wanted = set(range(self._world.scenario.partitions)) - self._world.judge.abandoned
        return wanted <= shown

    def final(self) -> None:
        """Hold the lag that is shown against the truth: everything has its result.

        Raises:
            Violation: some is left.
        """
        if not self.lag_is_over():
            raise Violation("lag is shown although everything has its result")

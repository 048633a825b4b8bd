"""Makes a broken world smaller: fewer events, blows, processes and strokes of bad luck that still break the promise."""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TypeVar

from tests.simulation.faults import Chances, Stroke
from tests.simulation.judge import Violation
from tests.simulation.scenario import Scenario
from tests.simulation.world import World

T = TypeVar("T")

MOST_RUNS = 600


class Shrinker:
    """Tries smaller worlds, as long as the same promise is broken in them."""

    def __init__(self, scenario: Scenario, what: str) -> None:
        self.smallest = scenario
        self.runs = 0
        self._what = what
        self._struck: list[Stroke] = []

    def breaks(self, scenario: Scenario) -> bool:
        """Play a world; take it for the smallest one where it breaks the promise."""
        if self.runs >= MOST_RUNS:
            return False
        self.runs += 1
        world = World(scenario)
        try:
            world.play()
        except Violation as violation:
            if violation.args[0] != self._what:
                return False
            self.smallest = scenario
            self._struck = list(world.dice.struck)
            return True
        return False

    def shrink(self) -> None:
        """Go on until nothing more can be left out."""
        if not self.breaks(self.smallest):
            return
        while True:
            before = self.smallest
            self._drop_chances()
            self._drop(self.smallest.blows, lambda left: replace(self.smallest, blows=tuple(left)))
            self._drop(self.smallest.publications, lambda left: replace(self.smallest, publications=tuple(left)))
            self._mute()
            self._simplify()
            if self.smallest == before:
                return

    def _drop_chances(self) -> None:
        for field in fields(Chances):
            if getattr(self.smallest.chances, field.name):
                self.breaks(replace(self.smallest, chances=replace(self.smallest.chances, **{field.name: 0.0})))

    def _drop(self, items: Sequence[T], without: Callable[[Sequence[T]], Scenario]) -> None:
        """Leave out runs of a list, long ones first."""
        size = max(1, len(items) // 2)
        while size:
            start = 0
            while start < len(items):
                left = [*items[:start], *items[start + size :]]
                if self.breaks(without(left)):
                    items = left
                else:
                    start += size
            size //= 2

    def _mute(self) -> None:
        """Take single strokes of bad luck back."""
        strokes = list(self._struck)
        size = max(1, len(strokes) // 2)
        while size and strokes:
            for start in range(0, len(strokes), size):
                some = frozenset(strokes[start : start + size])
                if not some <= self.smallest.muted:
                    self.breaks(replace(self.smallest, muted=self.smallest.muted | some))
            size //= 2

    def _simplify(self) -> None:
        small = self.smallest
        for candidate in (
            replace(small, processes=1),
            replace(small, processes=2),
            replace(small, starts_at=(0,) * small.partitions),
            replace(small, max_contacts=1),
            replace(small, concurrency=1),
            replace(small, window_seconds=0.0),
        ):
            differing = [
                field.name for field in fields(small) if getattr(candidate, field.name) != getattr(small, field.name)
            ]
            if differing and candidate.processes <= small.processes:
                self.breaks(replace(self.smallest, **{name: getattr(candidate, name) for name in differing}))
        numbers = {one.partition for one in self.smallest.publications}
        if self.smallest.partitions > 1 and numbers == {0}:
            self.breaks(replace(self.smallest, partitions=1))


def shrunk(scenario: Scenario, *, what: str) -> tuple[Scenario, int]:
    """Return the smallest world found that breaks the same promise, and in how many runs."""
    shrinker = Shrinker(scenario, what)
    shrinker.shrink()
    return shrinker.smallest, shrinker.runs

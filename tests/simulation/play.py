"""Plays worlds from their seeds, tells what broke and the shortest story of it: `python -m tests.simulation.play`.

One seed is one world: the same trace wherever and whenever it is played.
"""

import argparse
import hashlib
import resource
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.simulation.judge import Violation
from tests.simulation.scenario import Scenario, scenario_of
from tests.simulation.shrink import shrunk
from tests.simulation.trace import readable, story
from tests.simulation.world import World


class BrokenPromiseError(AssertionError):
    """A seed's world broke a promise; the message says how to see it again."""


@dataclass(slots=True)
class Tally:
    """What a number of worlds came to."""

    worlds: int = 0
    requests: int = 0
    records: int = 0
    texts: int = 0
    marked: int = 0
    virtual_seconds: float = 0.0
    statuses: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)

    def add(self, world: World) -> None:
        """Count a world in."""
        judge = world.judge
        self.worlds += 1
        self.requests += judge.requests
        self.records += len(judge.documents)
        self.texts += judge.texts.total()
        self.virtual_seconds += world.time
        self.marked += sum(result["possibleDuplicate"] for result in judge.results.values())
        self.statuses.update(result["status"] for result in judge.results.values())
        self.reached.update(world.reached)
        self.reached.update(fate for fate, _ in world.dice.struck)


def played(scenario: Scenario) -> World:
    """Play one world and hold it against the promises.

    Raises:
        Violation: a promise was broken, or something hangs.
    """
    world = World(scenario)
    world.play()
    return world


def fingerprint(world: World) -> str:
    """Return what two runs of one seed have in common, and of two seeds have not."""
    return hashlib.sha256("\n".join(readable(world)).encode()).hexdigest()


def play_seeds(seeds: Iterable[int], tally: Tally | None = None) -> Tally:
    """Play the worlds of some seeds.

    Raises:
        BrokenPromiseError: one of them broke a promise; the message holds the seed and the shortest story of it.
    """
    tally = tally or Tally()
    for seed in seeds:
        try:
            tally.add(played(scenario_of(seed)))
        except Violation as violation:
            raise BrokenPromiseError(explained(seed, violation)) from violation
    return tally


def explained(seed: int, violation: Violation) -> str:
    """Return how a seed's world breaks its promise, as shortly as it can be told."""
    scenario = scenario_of(seed)
    smaller, tries = shrunk(scenario, what=violation.args[0])
    return "\n".join(
        [
            f"seed {seed} ({scenario.style}): {violation}",
            f"again: python -m tests.simulation.play --from {seed} --seeds 1",
            f"shrunk in {tries} runs from {_size(scenario)} to {_size(smaller)}:",
            *story(smaller),
        ]
    )


def _size(scenario: Scenario) -> str:
    return (
        f"{len(scenario.publications)} events, {len(scenario.blows)} blows, {scenario.processes} processes "
        f"and {scenario.partitions} partitions"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Play as many seeds as asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.play", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many worlds (default: 1000)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed (default: 0)")
    parser.add_argument("--trace", action="store_true", help="print what happens in each world")
    parser.add_argument("--keep-going", action="store_true", help="go on behind a broken promise, and do not shrink it")
    asked = parser.parse_args(arguments)
    tally, broken = Tally(), 0
    for seed in range(asked.first, asked.first + asked.seeds):
        scenario = scenario_of(seed)
        if asked.trace:
            print("\n".join(story(scenario)))
        try:
            tally.add(played(scenario))
        except Violation as violation:
            broken += 1
            if not asked.keep_going:
                print(explained(seed, violation))
                break
            print(f"seed {seed} ({scenario.style}): {violation}", flush=True)
    _tell(tally, broken)
    return 1 if broken else 0


def _tell(tally: Tally, broken: int) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = usage.ru_utime + usage.ru_stime
    statuses = ", ".join(f"{count} {status}" for status, count in tally.statuses.most_common())
    print(
        f"{tally.worlds} worlds kept every promise, {broken} did not; {tally.worlds / max(seconds, 0.001) * 60:.0f} a "
        f"minute of CPU, {usage.ru_maxrss // 1024} MiB\n"
        f"{tally.requests} requests for {tally.records} records in {tally.virtual_seconds / 3600:.1f} hours of "
        f"their time; {tally.texts} texts; {statuses}; {tally.marked} marked"
    )


if __name__ == "__main__":
    sys.exit(main())

"""A seed is a world: it is the same in every process, and a broken promise comes with the shortest story of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.judge import Violation
from tests.simulation.mutating import applied, seen
from tests.simulation.mutations import MUTATIONS
from tests.simulation.play import explained, fingerprint, main, played
from tests.simulation.scenario import scenario_of
from tests.simulation.shrink import shrunk

SEEDS = range(16)
TELL = "from tests.simulation.play import fingerprint, played; from tests.simulation.scenario import scenario_of; "
TELL += f"print(*[fingerprint(played(scenario_of(seed))) for seed in {SEEDS}])"


def fingerprints(*, hash_seed: str) -> list[str]:
    """Play the seeds in a process of their own."""
    ran = subprocess.run(
        [sys.executable, "-c", TELL],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
    )
    return ran.stdout.split()


def test_one_seed_is_one_world_in_whatever_process_and_order_of_sets_it_is_played() -> None:
    here = [fingerprint(played(scenario_of(seed))) for seed in SEEDS]
    assert fingerprints(hash_seed="1") == fingerprints(hash_seed="2") == here
    assert len(set(here)) == len(here), "each seed is a world of its own"


def test_a_broken_promise_is_shrunk_to_a_world_that_breaks_it_too_with_less_in_it() -> None:
    with applied(MUTATIONS[0]):
        sighting = seen(0, worlds=100)
        assert sighting is not None
        before = scenario_of(sighting.seed)
        after, _ = shrunk(before, what=sighting.violation.args[0])
        assert (len(after.publications), len(after.blows)) < (len(before.publications), len(before.blows))
        with pytest.raises(Violation) as broken:
            played(after)
        assert broken.value.args[0] == sighting.violation.args[0]


def test_whoever_sees_a_broken_promise_is_told_the_seed_and_the_story_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with applied(MUTATIONS[0]):
        sighting = seen(0, worlds=100)
        assert sighting is not None
        told = explained(sighting.seed, sighting.violation)
        assert main(["--from", str(sighting.seed), "--seeds", "1"]) == 1
    printed = capsys.readouterr().out
    assert told in printed
    assert f"--from {sighting.seed} --seeds 1" in printed
    assert " journals " in printed
    assert f"PROMISE BROKEN: {sighting.violation.args[0]}" in printed


def test_worlds_that_keep_their_promises_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--from", "5", "--seeds", "3"]) == 0
    assert "3 worlds kept every promise, 0 did not" in capsys.readouterr().out

"""The promises, in worlds where everything goes wrong: the real core and service on made-up time. One seed is one world.

CAMPAIGN_TEST_PROFILE says how many; `make simulate` plays as many as asked for.
"""

import os
from dataclasses import replace

import pytest

from tests.simulation.blows import Blow
from tests.simulation.faults import NONE
from tests.simulation.play import play_seeds, played
from tests.simulation.scenario import LONG, scenario_of
from tests.simulation.styles import (
    PARKED_AGAIN_FROM,
    PARKED_FROM,
    RIVALS_FROM,
    SILENCE_FROM,
    URGENT_AND_PARKED_FROM,
    URGENT_FROM,
)

WORLDS = {"dev": 300, "ci": 2_000, "soak": 20_000}
PROFILE = os.environ.get("CAMPAIGN_TEST_PROFILE", "dev")
AT_ONCE = 100
EVERY = {"dev": 29, "ci": 1, "soak": 1}
"""Crashed after each step of a process, or after every 29th."""


SPECIAL = (SILENCE_FROM, RIVALS_FROM, URGENT_FROM, PARKED_FROM, URGENT_AND_PARKED_FROM, PARKED_AGAIN_FROM)


@pytest.mark.parametrize("first_seed", [*range(0, WORLDS[PROFILE], AT_ONCE), *SPECIAL])
def test_every_promise_is_kept_whatever_goes_wrong(first_seed: int) -> None:
    tally = play_seeds(range(first_seed, first_seed + AT_ONCE))
    assert tally.worlds == AT_ONCE
    assert tally.requests > AT_ONCE


@pytest.mark.parametrize("hold", [frozenset(), frozenset({1, 2})], ids=["resend", "hold"])
@pytest.mark.parametrize("seed", [0, 4])
def test_a_process_may_be_killed_at_every_await(seed: int, hold: frozenset[int]) -> None:
    calm = replace(scenario_of(seed), hold=hold, processes=2, chances=NONE, blows=(), deduplication_seconds=LONG)
    world = played(calm)
    steps = max(process.steps for process in (*world.processes, *world.dead) if process.slot == 0)
    kills = range(0, steps, EVERY[PROFILE])
    killed = sum(played(replace(calm, blows=(_kill(after),))).reached["crash"] for after in kills)
    assert killed > 0.9 * len(kills)


def _kill(steps: int) -> Blow:
    return Blow(at=0.0, kind="crash", where=0, amount=steps)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_when_nothing_goes_wrong_nobody_is_in_doubt_and_nothing_is_marked(seed: int) -> None:
    world = played(replace(scenario_of(seed), chances=NONE, blows=()))
    results = world.judge.results.values()
    assert not any(result["possibleDuplicate"] for result in results)
    assert {result["status"] for result in results} <= {"accepted", "duplicate", "rejected", "expired", "invalid"}
    assert set(world.judge.texts.values()) == {1}

"""The promises, under random schedules of crashes, freezes, zombies and lost answers. One seed is one world."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.policy import OnUnknown
from tests.simulation.faults import NONE, OWNERS, PLATFORM, Faults
from tests.simulation.play import played

SEEDS = st.integers(0, 2**32 - 1)
PROFILES = st.sampled_from([Faults(), Faults(), OWNERS, PLATFORM])


@given(seed=SEEDS, faults=PROFILES)
def test_nobody_is_texted_twice_unmarked_and_nothing_is_lost_whatever_goes_wrong(seed: int, faults: Faults) -> None:
    played(seed, faults=faults)


@given(seed=SEEDS, faults=PROFILES)
def test_with_hold_nobody_is_texted_twice_at_all(seed: int, faults: Faults) -> None:
    played(seed, on_unknown=OnUnknown.HOLD, faults=faults)


@pytest.mark.parametrize("seed", range(5))
def test_when_nothing_goes_wrong_nobody_is_in_doubt_and_nothing_is_marked(seed: int) -> None:
    world = played(seed, faults=NONE)
    said = {(status, marked) for contents in world.judge.published.values() for status, marked, _ in contents}
    assert not any(marked for _, marked in said)
    assert {status for status, _ in said} <= {"accepted", "duplicate", "rejected", "expired"}
    assert max(world.judge.texts.values()) == 1


@pytest.mark.parametrize("seed", range(3))
def test_one_seed_is_one_world(seed: int) -> None:
    first, second = played(seed), played(seed)
    assert first.requests == second.requests
    assert first.journal == second.journal
    assert first.judge.published == second.judge.published


def test_the_worlds_reach_every_fault_and_every_turn_of_the_protocol() -> None:
    reached: set[str] = set()
    for seed in range(12):
        for faults in (Faults(), OWNERS, PLATFORM):
            reached |= played(seed, faults=faults).reached
    assert reached >= {
        *Faults.__slots__,
        "gap",
        "lost",
        "taken over",
        "withheld STALE_PROOF",
        "withheld NOT_OURS",
        "withheld EXPIRED",
    }

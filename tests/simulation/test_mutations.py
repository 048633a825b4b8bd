"""The simulation can see: with one rule of the protocol broken, it finds a broken promise within a few hundred worlds."""

from itertools import cycle

import pytest

from consumer.core.policy import OnUnknown
from tests.simulation.faults import OWNERS, PLATFORM, Faults
from tests.simulation.judge import Violation
from tests.simulation.mutations import MUTATIONS
from tests.simulation.play import played

WORLDS = 600
STYLES = ((OWNERS, OnUnknown.HOLD), (PLATFORM, OnUnknown.RESEND), (Faults(), OnUnknown.HOLD))


def worlds_until_seen(first_seed: int = 0) -> int | None:
    """Return how many worlds it takes until a promise is seen to be broken, None where none of them shows it."""
    for seed, (faults, on_unknown) in zip(range(first_seed, first_seed + WORLDS), cycle(STYLES), strict=False):
        try:
            played(seed, faults=faults, on_unknown=on_unknown)
        except Violation:
            return seed - first_seed + 1
        except (AssertionError, KeyError):
            continue  # the broken code noticed by itself: that is not what is tried here
    return None


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_rule_breaks_a_promise_that_somebody_sees(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS[name](monkeypatch)
    assert worlds_until_seen() is not None, f"{WORLDS} worlds do not show it"

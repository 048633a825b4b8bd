"""Nothing stands still with every probe green: what is stuck fails one, and a probe that looks away is caught."""

import pytest

from tests.simulation.judge import Violation
from tests.simulation.mutating import applied
from tests.simulation.mutations import NEVER_READ_AGAIN, NEVER_READ_AGAIN_AND_GREEN
from tests.simulation.scenario import scenario_of
from tests.simulation.standstill import STANDS_STILL
from tests.simulation.world import World

SEED = 7
"""Nothing goes wrong in it by itself."""


def test_records_that_are_never_read_again_fail_a_probe() -> None:
    world = World(scenario_of(SEED))
    with applied(NEVER_READ_AGAIN), pytest.raises(Violation) as broken:
        world.play()
    assert broken.value.args[0] != STANDS_STILL
    assert world.reached["probe: its records are not read"] > 0


def test_a_probe_that_does_not_look_for_unread_records_is_caught() -> None:
    with applied(NEVER_READ_AGAIN_AND_GREEN), pytest.raises(Violation, match=STANDS_STILL):
        World(scenario_of(SEED)).play()

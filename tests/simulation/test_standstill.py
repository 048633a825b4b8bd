"""Nothing stands still with every probe green: what is stuck fails one, and a probe that looks away is caught."""

from dataclasses import replace

import pytest

from tests.simulation.faults import NONE
from tests.simulation.judge import Violation
from tests.simulation.mutating import applied
from tests.simulation.mutations import NEVER_READ_AGAIN, NEVER_READ_AGAIN_AND_GREEN
from tests.simulation.scenario import last_events, scenario_of
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


def test_what_an_operator_holds_stands_still_with_every_probe_green() -> None:
    with World(replace(scenario_of(SEED), chances=NONE, blows=())).open() as world:
        world.run_until(20.0)
        world.operators.hold(1)
        for event in last_events(world.scenario, world.time):
            world.publish(event)
        world.run_until(200.0)
        world.raise_what_was_broken()
        assert not world.judge.everything_is_settled()
        for process in world.processes:
            assert process.board is not None
            assert (process.board.health().reasons, process.board.ready().reasons) == ((), ())
            assert len(process.board.status()["holds"]["holds"]) == 1
        world.operators.release(1)
        world.run_until(205.0)
        assert world.judge.everything_is_settled()

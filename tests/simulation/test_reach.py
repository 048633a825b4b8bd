"""The worlds reach everything that can go wrong, and every state that a partition or a send can be in."""

from tests.simulation.reach import WANTED, reached_in
from tests.simulation.sightings import REACH, WORLDS, notes


def test_every_fault_every_answer_and_every_change_of_state_is_reached() -> None:
    """The noted worlds are played first; what they do not show is looked for in all."""
    missing = set(WANTED)
    for seed in (*notes().get(REACH, ()), *range(WORLDS)):
        missing -= reached_in(seed)
        if not missing:
            break
    assert missing == set()

"""The judge of what stands still can say no: it wants movement, or a probe that is not green."""

from typing import Any

import pytest

from tests.chaos.standstill import BOUND_SECONDS, Standstills


def shown(**changes: Any) -> dict[str, Any]:
    partition = {
        "topic": "events",
        "partition": 3,
        "state": "owned",
        "watermark": 7,
        "position": 9,
        "held": 0,
        "lag": 2,
    }
    return {"partitions": [partition | changes]}


@pytest.mark.parametrize(
    "later, all_green, is_found",
    [
        ({}, True, True),
        ({}, False, False),
        ({"watermark": 8, "lag": 1}, True, False),
        ({"lag": 0}, True, False),
    ],
)
def test_only_lag_that_does_not_move_with_green_probes_is_found(
    later: dict[str, Any],
    *,
    all_green: bool,
    is_found: bool,
) -> None:
    standstills = Standstills()
    standstills.look(0.0, 1, shown(), all_green=True)
    standstills.look(1.0, 2, shown(watermark=0), all_green=True)
    standstills.look(BOUND_SECONDS + 1.0, 1, shown(**later), all_green=all_green)
    assert bool(standstills.found) == is_found

"""What is counted for the objectives of a send whose members are of two partitions, and are not alike."""

import pytest

from consumer.core.terms import Partition
from tests.core.makers import P0, P1
from tests.edge.telemetry.told import Told


def together(first: Partition, second: Partition, *, priority: str, hours_late: int) -> Told:
    """A send of two partitions' events, of which the last has this priority, or was published hours before."""
    told = Told(partitions=[P0, P1])
    told.people("+34600000009")
    told.feed(told.event(phone="+34600000001"), partition=first)
    told.feed(told.event(phone="+34600000002"), partition=second)
    told.feed(told.event(phone="+34600000003", priority=priority), partition=second)
    told.records[second.number, 2 if second == P0 else 1].timestamp_ms -= hours_late * 3_600_000
    told.run()
    return told


def counted(told: Told, priority: str) -> tuple[float | None, float | None]:
    labels = {"priority": priority}
    return told.value("campaign_slo_events_total", labels), told.value("campaign_slo_good_events_total", labels)


@pytest.mark.parametrize("first, second", [(P0, P1), (P1, P0)])
def test_a_member_that_is_late_counts_as_late_whatever_its_partition(first: Partition, second: Partition) -> None:
    told = together(first, second, priority="normal", hours_late=1)
    assert counted(told, "normal") == (4, 3)


@pytest.mark.parametrize("first, second", [(P0, P1), (P1, P0)])
def test_a_member_that_is_immediate_counts_as_such_whatever_its_partition(first: Partition, second: Partition) -> None:
    told = together(first, second, priority="immediate", hours_late=0)
    assert counted(told, "normal") == (3, 3)
    assert counted(told, "immediate") == (1, 1)

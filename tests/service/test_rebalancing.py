"""How long a rebalance lasts for a member. No broker; the clock is set by hand."""

from dataclasses import dataclass, field
from typing import Any, cast

from consumer.core.terms import Partition
from consumer.service.facts import Facts
from consumer.service.rebalancing import Rebalancing
from tests.core.makers import P0, P1
from tests.edge.support import HandClock

P2 = Partition(P0.topic, 2)


@dataclass
class Rebalanced:
    """Takes down how long each rebalance took."""

    seconds: list[float] = field(default_factory=list)

    def rebalanced(self, *, seconds: float) -> None:
        self.seconds.append(seconds)


class Member:
    """A member of a group, and what it says of its rebalances."""

    def __init__(self) -> None:
        self.clock, self.told = HandClock(), Rebalanced()
        self.rebalancing = Rebalancing(self.clock, cast("Facts", self.told))

    def after(self, seconds: float, happens: Any, *what: Any) -> list[float]:
        """Let something happen so much later; return what was told by then."""
        self.clock.seconds += seconds
        happens(*what)
        return self.told.seconds


def test_a_rebalance_lasts_from_the_revoke_until_the_last_partition_is_at_work() -> None:
    member = Member()
    of = member.rebalancing
    assert member.after(0, of.revoked) == []
    assert member.after(3, of.assigned, [P0, P1]) == []
    assert member.after(2, of.standing, P1) == []
    assert member.after(1, of.standing, P0) == [6]
    assert member.after(100, of.standing, P0) == [6], "it was lost and taken over again: no rebalance"


def test_the_first_assignment_follows_no_revoke() -> None:
    member = Member()
    member.after(100, member.rebalancing.assigned, [P0])
    assert member.after(2, member.rebalancing.standing, P0) == [2]


def test_an_assignment_of_nothing_is_over_at_once() -> None:
    member = Member()
    member.rebalancing.revoked()
    assert member.after(4, member.rebalancing.assigned, []) == [4]


def test_one_rebalance_after_another_without_work_in_between_is_one_long_standstill() -> None:
    member = Member()
    of = member.rebalancing
    of.revoked()
    assert member.after(5, of.assigned, [P0, P1]) == []
    assert member.after(5, of.standing, P0) == []
    assert member.after(5, of.revoked) == []
    assert member.after(5, of.standing, P1) == [], "it is being handed back"
    assert member.after(5, of.assigned, [P2]) == []
    assert member.after(5, of.standing, P2) == [30]

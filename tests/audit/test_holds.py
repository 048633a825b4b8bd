"""A request of a held campaign is named; one that was in time, was released, or never surely started is not."""

from collections.abc import Sequence

import pytest

from consumer.audit.findings import ViolationKind
from tests.audit.fabricated import CONTROL, NOW, Verdict, World
from tests.audit.honest import PENDING, honest

CAMPAIGN = 7
"""Of every event of the honest day; all its intents stand there since NOW."""
Orders = Sequence[tuple[str, int | None, float]]


def accused(*orders: tuple[str, int | None, float], world: World | None = None) -> set[int]:
    world = world or honest()
    for kind, campaign, at in orders:
        world.ordered(kind, campaign, at)
    found = world.findings()
    assert {one.kind for one in found.violations} <= {ViolationKind.STARTED_WHILE_HELD}
    return {one.offset for one in found.violations}


@pytest.mark.parametrize("whose", [CAMPAIGN, None])
def test_requests_that_started_while_held_are_named_and_those_of_unknown_fate_are_not(whose: int | None) -> None:
    found = accused(("hold", whose, NOW - 10))
    assert {0, 4, 5} <= found
    assert not {2, 3, 6, PENDING} & found, "never sent, or nobody knows whether it was"


@pytest.mark.parametrize(
    "orders",
    [
        [("hold", CAMPAIGN, NOW - 2)],
        [("hold", CAMPAIGN, NOW + 1)],
        [("hold", CAMPAIGN + 1, NOW - 10)],
        [("hold", CAMPAIGN, NOW - 10), ("release", CAMPAIGN, NOW - 5)],
        [("hold", None, NOW - 10), ("release", None, NOW - 5), ("hold", None, NOW - 1)],
    ],
    ids=["within two seconds", "later", "another campaign", "released", "held anew a moment ago"],
)
def test_who_obeyed_is_not_accused(orders: Orders) -> None:
    assert accused(*orders) == set()


def test_a_second_hold_goes_on_with_the_first_and_a_release_of_all_lifts_no_campaigns_hold() -> None:
    again = accused(("hold", CAMPAIGN, NOW - 10), ("hold", CAMPAIGN, NOW - 1))
    others = accused(("hold", CAMPAIGN, NOW - 10), ("hold", None, NOW - 9), ("release", None, NOW - 5))
    assert again == others == accused(("hold", CAMPAIGN, NOW - 10))


def test_an_attempt_that_was_called_off_before_its_first_byte_is_no_request() -> None:
    world = World()
    world.claim()
    offset = world.event()
    world.intent("s1", 1, offset)
    world.returned("s1", 1, started=False)
    world.settle(Verdict(status="cancelled", reason="operator", attempts=0, dispatched_at=None), offset)
    world.checkpoint()
    world.publish(offset)
    world.committed = 1
    assert accused(("hold", CAMPAIGN, NOW - 10), world=world) == set()
    assert world.findings().by_status["cancelled"] == 1


@pytest.mark.parametrize("reason", [("rejected", "held"), ("cancelled", "operator")])
def test_what_operators_stopped_is_an_outcome_like_others(reason: tuple[str, str]) -> None:
    world = honest()
    world.settle(Verdict(status=reason[0], reason=reason[1], attempts=1, dispatched_at=None), PENDING)
    assert {one.kind for one in world.findings().violations} == {ViolationKind.DOUBT_FORGOTTEN}, "its attempt is open"


def test_what_nobody_can_read_accuses_nobody() -> None:
    world = honest()
    for key, value in (
        (None, b"{"),
        (b"hold/x", b"{}"),
        (b"hold/7", b"?"),
        (b"hold/7", b"[]"),
        (b"cancel/event/e", b"{}"),
    ):
        world.log(CONTROL, 0).append(key=key, value=value, timestamp=round((NOW - 10) * 1000))
    assert accused(world=world) == set()

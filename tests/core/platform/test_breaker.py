"""The circuit breaker: when nothing starts, when one may try, and when it is over."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.platform.breaker import Breaker, BreakerState, BreakerTrouble
from consumer.core.policy import BreakerPolicy
from tests.core.makers import at

POLICY = BreakerPolicy(failure_ratio=0.5, min_requests=10, window_seconds=30.0, open_seconds=5.0, max_open_seconds=60.0)


@dataclass
class Scene:
    """A breaker whose waits are exactly what its policy says."""

    breaker: Breaker = field(default_factory=lambda: Breaker(POLICY, lambda: 1.0))
    time: float = 0.0

    def ends(self, *ends: str, every: float = 0.1, campaign: int = 1) -> None:
        for end in ends:
            self.time += every
            self.breaker.started()
            if end == "missed":
                self.breaker.missed(at(self.time))
                continue
            self.breaker.reached()
            (self.breaker.failed if end == "failed" else self.breaker.succeeded)(campaign, at(self.time))

    def wait(self, seconds: float) -> None:
        self.time += seconds

    def state(self) -> BreakerState:
        return self.breaker.state(at(self.time))


def test_half_of_the_requests_failing_opens_it_and_fewer_do_not() -> None:
    scene = Scene()
    scene.ends(*["failed", "fine", "fine"] * 10)
    assert scene.state() is BreakerState.CLOSED
    scene.ends(*["failed"] * 10)
    assert scene.state() is BreakerState.OPEN
    assert scene.breaker.trouble is BreakerTrouble.FAILING


def test_a_few_failures_open_nothing_however_many_of_all_they_are() -> None:
    scene = Scene()
    scene.ends(*["failed"] * 9)
    assert scene.state() is BreakerState.CLOSED
    scene.ends("failed")
    assert scene.state() is BreakerState.OPEN


def test_failures_of_long_ago_are_forgotten() -> None:
    scene = Scene()
    scene.ends(*["failed"] * 9)
    scene.wait(31.0)
    scene.ends(*["failed"] * 9)
    assert scene.state() is BreakerState.CLOSED


def test_its_waits_double_up_to_a_bound_and_begin_anew_after_a_success() -> None:
    scene = Scene()
    scene.ends(*["failed"] * 10)
    waits = []
    for _ in range(6):
        waits.append(scene.breaker.again_at - at(scene.time).steady)
        scene.wait(waits[-1])
        assert scene.state() is BreakerState.HALF_OPEN
        scene.ends("failed", every=0.0)
    assert waits == pytest.approx([5.0, 10.0, 20.0, 40.0, 60.0, 60.0])
    scene.wait(60.0)
    scene.ends("fine", every=0.0)
    assert scene.state() is BreakerState.CLOSED
    scene.ends(*["failed"] * 10)
    assert scene.breaker.again_at - at(scene.time).steady == pytest.approx(5.0)


def test_what_was_out_before_it_opened_closes_nothing_and_opens_nothing_again() -> None:
    scene = Scene()
    scene.ends(*["failed"] * 10)
    again_at = scene.breaker.again_at
    scene.breaker.reached()
    scene.breaker.succeeded(1, at(scene.time))
    scene.breaker.failed(1, at(scene.time + 6.0))
    assert scene.breaker.again_at == again_at
    assert not scene.breaker.is_closed


def test_three_misses_in_a_row_say_that_nobody_is_there_and_any_answer_that_somebody_is() -> None:
    scene = Scene()
    scene.ends("missed", "missed", "fine", "missed", "missed")
    assert scene.state() is BreakerState.CLOSED
    scene.ends("missed")
    assert scene.breaker.trouble is BreakerTrouble.UNREACHABLE
    assert scene.breaker.since == at(scene.time - 0.2).wall
    assert scene.breaker.again_at - at(scene.time).steady == pytest.approx(0.5)
    scene.breaker.reached()
    assert scene.state() is BreakerState.CLOSED


def test_a_platform_that_fails_and_then_is_gone_is_over_with_its_first_good_answer() -> None:
    scene = Scene()
    scene.ends(*["failed"] * 10)
    for _ in range(4):
        scene.wait(60.0)
        scene.ends("missed", every=0.0)
    assert scene.breaker.trouble is BreakerTrouble.UNREACHABLE
    scene.wait(60.0)
    scene.ends("fine", every=0.0)
    assert scene.breaker.is_closed


def test_misses_in_a_row_are_one_row_whether_or_not_it_was_open_meanwhile() -> None:
    scene = Scene()
    scene.ends(*["failed"] * 10)
    scene.wait(5.0)
    scene.ends("missed")
    first_missed_at = at(scene.time).wall
    scene.breaker.waits(2)
    assert scene.breaker.is_closed, "all blame was another campaign's"
    scene.ends("missed", "missed", campaign=2)
    assert scene.breaker.trouble is BreakerTrouble.UNREACHABLE
    assert scene.breaker.since == first_missed_at


@given(st.lists(st.sampled_from(["failed", "fine", "missed"]), max_size=60), st.floats(0.01, 20.0))
def test_whatever_happened_a_platform_that_works_again_is_let_in_with_one_request(
    ends: list[str], every: float
) -> None:
    scene = Scene()
    scene.ends(*ends, every=every)
    if scene.breaker.is_closed:
        return
    assert scene.breaker.again_at <= at(scene.time).steady + 60.0
    scene.wait(60.0)
    assert scene.state() is BreakerState.HALF_OPEN
    scene.ends("fine")
    assert scene.state() is BreakerState.CLOSED


def test_one_campaign_that_fails_beside_others_that_get_through_opens_nothing() -> None:
    scene = Scene()
    scene.ends("fine", campaign=2)
    scene.ends(*["failed"] * 50)
    assert scene.state() is BreakerState.CLOSED
    scene.ends("failed", campaign=2)
    assert scene.state() is BreakerState.OPEN
    scene.breaker.waits(3)
    assert scene.state() is BreakerState.OPEN


def test_a_campaign_that_comes_later_does_not_pay_for_the_only_one_that_was_asked() -> None:
    scene = Scene()
    scene.ends(*["failed"] * 10)
    scene.breaker.waits(1)
    assert scene.state() is BreakerState.OPEN
    scene.breaker.waits(2)
    assert scene.state() is BreakerState.CLOSED
    scene.ends("fine", campaign=2)
    scene.ends(*["failed"] * 30)
    assert scene.state() is BreakerState.CLOSED

"""Back-off and giving up: how long to wait, and when no further attempt is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.history import UNTRIED, History
from consumer.core.outcome import Reason
from consumer.core.platform.retry import backoff_seconds, given_up, may_repeat
from consumer.core.policy import CampaignPolicy, OnUnknown
from tests.core.makers import at

POLICY = CampaignPolicy(max_attempts=3, max_age_seconds=60.0)


@given(st.integers(0, 10**9), st.floats(0.001, 60), st.floats(0.001, 3600), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_longer_than_the_cap_and_never_negative(
    setbacks: int, base: float, longest: float, jitter: float
) -> None:
    wait = backoff_seconds(setbacks, base_seconds=base, max_seconds=longest, jitter=jitter)
    assert 0.0 <= wait <= longest


@pytest.mark.parametrize("setbacks, longest", [(1, 0.25), (2, 0.5), (3, 1.0), (7, 16.0), (8, 30.0), (1000, 30.0)])
def test_the_longest_wait_doubles_up_to_its_cap_and_dice_take_it_from_there(setbacks: int, longest: float) -> None:
    def wait(jitter: float) -> float:
        return backoff_seconds(setbacks, base_seconds=0.25, max_seconds=30.0, jitter=jitter)

    assert wait(1.0) == longest
    assert wait(0.5) == longest / 2
    assert wait(0.0) == 0.0


def test_attempts_run_out_by_their_number() -> None:
    assert given_up(History(attempts=9, counted=2), POLICY, tried_seconds=0) is None
    assert given_up(History(attempts=3, counted=3), POLICY, tried_seconds=0) is Reason.RETRIES_EXHAUSTED


def test_attempts_run_out_by_their_age_however_few_count() -> None:
    assert given_up(UNTRIED, POLICY, tried_seconds=10_000) is None, "what was never tried is not tried for too long"
    tried = History(attempts=1, first_tried_at=at(0).wall)
    assert given_up(tried, POLICY, tried_seconds=60) is None
    assert given_up(tried, POLICY, tried_seconds=60.001) is Reason.RETRY_AGE


def test_lost_answers_have_a_bound_of_their_own_and_other_unknown_ones_do_not_count_there() -> None:
    policy = CampaignPolicy(max_attempts=8, lost_answer_repeats=2)
    assert may_repeat(History(attempts=6, counted=6, lost=6, answers_lost=2), policy)
    assert not may_repeat(History(attempts=6, counted=6, lost=6, answers_lost=3), policy)


def test_with_hold_nothing_of_unknown_fate_is_repeated() -> None:
    hold = CampaignPolicy(on_unknown=OnUnknown.HOLD)
    assert may_repeat(UNTRIED, hold)
    assert may_repeat(History(attempts=2, counted=2), hold)
    assert not may_repeat(History(attempts=1, counted=1, lost=1), hold)

"""Back-off and giving up: how long to wait, and when no further attempt is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.outcome import Reason
from consumer.core.policy import CampaignPolicy
from consumer.core.retry import backoff_seconds, given_up
from tests.core.makers import at, make_send

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
    send = make_send("s")
    send.counted = 2
    assert given_up(send, POLICY, tried_seconds=0) is None
    send.counted = 3
    assert given_up(send, POLICY, tried_seconds=0) is Reason.RETRIES_EXHAUSTED


def test_attempts_run_out_by_their_age_however_few_count() -> None:
    send = make_send("s")
    assert given_up(send, POLICY, tried_seconds=10_000) is None, "what was never tried is not tried for too long"
    send.first_tried_at = at(0).wall
    assert given_up(send, POLICY, tried_seconds=60) is None
    assert given_up(send, POLICY, tried_seconds=60.001) is Reason.RETRY_AGE

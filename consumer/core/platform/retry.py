"""How long to wait before the next attempt, and when to give up. Never reads a clock, never rolls dice."""

from consumer.core.history import History
from consumer.core.outcome import Reason
from consumer.core.policy import CampaignPolicy, OnUnknown

MAX_EXPONENT = 30
"""2 to this is far beyond every cap; it keeps a long outage from building huge integers."""


def backoff_seconds(setbacks: int, *, base_seconds: float, max_seconds: float, jitter: float) -> float:
    """Return seconds to wait after `setbacks` attempts in a row came to nothing; `jitter` is in [0, 1).

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter": full jitter.
    """
    cap: float = min(max_seconds, base_seconds * 2.0 ** min(max(setbacks - 1, 0), MAX_EXPONENT))
    return cap * jitter


def given_up(history: History, policy: CampaignPolicy, *, tried_seconds: float) -> Reason | None:
    """Return why no further attempt is due, None while one is; it was tried for so long, outages apart."""
    if history.counted >= policy.max_attempts or not may_repeat(history, policy):
        return Reason.RETRIES_EXHAUSTED
    if history.first_tried_at is not None and tried_seconds > policy.max_age_seconds:
        return Reason.RETRY_AGE
    return None


def may_repeat(history: History, policy: CampaignPolicy) -> bool:
    """Return whether the policy lets an event go out again whose attempts have been lost as often as this."""
    if not history.lost:
        return True
    return policy.on_unknown is OnUnknown.RESEND and history.answers_lost <= policy.lost_answer_repeats

"""How long to wait before the next attempt, and when to give up. Never reads a clock, never rolls dice."""

from consumer.core.outcome import Reason
from consumer.core.policy import CampaignPolicy
from consumer.core.send import Send

MAX_EXPONENT = 30
"""2 to this is far beyond every cap; it keeps a long outage from building huge integers."""


def backoff_seconds(setbacks: int, *, base_seconds: float, max_seconds: float, jitter: float) -> float:
    """Return seconds to wait after `setbacks` attempts in a row came to nothing; `jitter` is in [0, 1).

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter": full jitter.
    """
    cap: float = min(max_seconds, base_seconds * 2.0 ** min(max(setbacks - 1, 0), MAX_EXPONENT))
    return cap * jitter


def given_up(send: Send, policy: CampaignPolicy, *, tried_seconds: float) -> Reason | None:
    """Return why no further attempt is due, None while one is; it was tried for so long, outages apart."""
    if send.counted >= policy.max_attempts:
        return Reason.RETRIES_EXHAUSTED
    if send.first_tried_at is not None and tried_seconds > policy.max_age_seconds:
        return Reason.RETRY_AGE
    return None

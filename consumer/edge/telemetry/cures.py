"""What a person can do about a problem, as text for its log line; and HTTP statuses as labels. Writes no log line."""

from collections.abc import Mapping
from typing import Final

from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import PROXY_AUTHENTICATION_REQUIRED
from consumer.service.facts import RetryReason, StopWhy

OUT_OF_CREDIT: Final = 402
COMMON_STATUSES: Final = frozenset(
    {200, 201, 202, 204, 301, 302, 307, 308, 400, 401, 402, 403, 404, 407, 408, 409}
    | {413, 421, 422, 425, 429, 500, 502, 503, 504}
)

OUTCOME_CURES: Final[Mapping[tuple[Status, Reason | None], str]] = {
    (Status.REJECTED, Reason.CAMPAIGN_REFUSED): "does the campaign exist on the platform, and is it enabled?",
    (Status.REJECTED, Reason.SCHEDULE_NOT_CONFIGURED): "set CAMPAIGN_API__FIELD_NAMES__SCHEDULED_AT, then replay",
    (Status.FAILED, Reason.RETRIES_EXHAUSTED): "look at campaign_answers_total; replay when the platform is well",
    (Status.FAILED, Reason.RETRY_AGE): "look at campaign_answers_total; replay when the platform is well",
    (Status.EXPIRED, Reason.TOO_OLD): "a resend is exempt from CAMPAIGN_KAFKA__MAX_EVENT_AGE: use replay",
    (Status.IN_DOUBT, Reason.ANSWER_LOST): "the platform's reports know whether these went out; then replay or not",
    (Status.IN_DOUBT, Reason.SERVER_ERROR): "the platform's reports know whether these went out; then replay or not",
    (Status.IN_DOUBT, Reason.OWNER_LOST): "the platform's reports know whether these went out; then replay or not",
}
"""Cures for outcomes that may need an action by a person."""

RETRY_CURES: Final[Mapping[RetryReason, str]] = {
    RetryReason.THROTTLED: "normal under load; lasting: lower CAMPAIGN_DELIVERY__MAX_CONCURRENCY",
    RetryReason.UNAVAILABLE: "the platform is down or overloaded; sending goes on by itself",
    RetryReason.UNREACHABLE: "check CAMPAIGN_API__URL, DNS, TLS and the network; sending goes on by itself",
    RetryReason.SERVER_ERROR: "the platform answers 5xx; repeats are marked possibleDuplicate",
    RetryReason.ANSWER_LOST: "the platform answers later than CAMPAIGN_API__TIMEOUT or drops connections",
    RetryReason.NO_PROOF: "the journal is slow: check the brokers, see campaign_journal_append_duration_seconds",
}


def code(status: int | None) -> str:
    """Return an HTTP status as a label value: common statuses as they are, others by their class."""
    if status is None:
        return "none"
    if status in COMMON_STATUSES:
        return str(status)
    return f"{status // 100}xx" if 100 <= status < 600 else "other"  # noqa: PLR2004 - HTTP's own numbers


PROBE_EVENTS = {
    StopWhy.DENIED: "the platform does not let us in, probing",
    StopWhy.FIRST_CONTACT: "the platform does not let us in, probing",
    StopWhy.UNREACHABLE: "the platform cannot be reached, probing",
    StopWhy.FAILING: "most of what the platform is asked fails, probing",
}


def stop_cure(why: StopWhy, status: int | None) -> str:
    """Return what to check when the platform refuses us or cannot be reached."""
    if why is StopWhy.FAILING:
        return (
            "ask who runs the platform; one real send at a time tries whether it is over, CAMPAIGN_DELIVERY__BREAKER__*"
        )
    if status is None:
        return RETRY_CURES[RetryReason.UNREACHABLE]
    if why is StopWhy.FIRST_CONTACT:
        return "check CAMPAIGN_API__URL and CAMPAIGN_API__FIELD_NAMES__*; nothing settles until a first 2xx"
    if status // 100 == 3:  # noqa: PLR2004 - a redirect
        return "check CAMPAIGN_API__URL: the platform redirects elsewhere, and redirects are not followed"
    if status == OUT_OF_CREDIT:
        return "the platform wants to be paid (402): check the account's credit; sending goes on by itself"
    if status == PROXY_AUTHENTICATION_REQUIRED:
        return "a proxy wants a password (407): check CAMPAIGN_API__PROXY, or HTTPS_PROXY"
    return "check CAMPAIGN_API__SERVER_KEY, the region in CAMPAIGN_API__URL, the key's role and client addresses"

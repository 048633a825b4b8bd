"""The settings of delivery: attempts, limits by time, the breaker. Owns the shape; never reads a file or a variable."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from config import kinds
from config.durations import OptionalSeconds, Seconds
from config.section import HOUR, Section


class Retry(Section):
    """How often and how long a send is tried."""

    max_attempts: kinds.Whole = Field(8, ge=1, le=1000, description="Attempts per event; 429 and 503 do not count.")
    max_age_seconds: Seconds = Field(
        HOUR,
        alias="max_age",
        gt=0,
        description="How long an event is tried, from its first attempt on; outages do not count.",
    )
    base_seconds: Seconds = Field(
        0.25, alias="base", gt=0, description="Longest wait after the first failure; doubles."
    )
    max_seconds: Seconds = Field(30.0, alias="max", gt=0, le=HOUR, description="Longest wait ever (full jitter).")
    lost_answer_repeats: kinds.Whole = Field(
        3, ge=0, le=1000, description="With `resend`: repeats after a lost answer, then `in_doubt`."
    )


class RateLimitSettings(Section):
    """Limits by time."""

    requests_per_second: kinds.OptionalRate = Field(
        None, gt=0, le=1_000_000, description="Requests a second, at most.", examples=["50"]
    )
    contacts_per_second: kinds.OptionalRate = Field(
        None, gt=0, le=1_000_000_000, description="Contacts a second, at most.", examples=["2000"]
    )


class GroupRateLimit(RateLimitSettings):
    """Limits by time, and whose they are."""

    scope: kinds.RateScope = Field(
        "group",
        description="`group`: the limits hold for the whole consumer group, each instance takes the share of its partitions; "
        "`instance`: for each instance.",
    )


class BreakerSettings(Section):
    """When a platform that fails is given a rest. Failures are no connection, lost answers and 5xx; 429 is none."""

    failure_ratio: kinds.Ratio = Field(0.5, gt=0, le=1, description="So much of the latest requests failing opens it.")
    min_requests: kinds.Whole = Field(
        10,
        ge=1,
        le=1_000_000,
        description="Fewer requests than this open nothing, unless three in a row find no connection.",
    )
    window_seconds: Seconds = Field(30.0, alias="window", gt=0, le=HOUR, description="How far back requests count.")
    open_for_seconds: Seconds = Field(
        5.0,
        alias="open_for",
        gt=0,
        le=HOUR,
        description="How long nothing starts before one real send tries; doubles with each that fails.",
    )
    max_open_for_seconds: Seconds = Field(
        60.0, alias="max_open_for", gt=0, le=HOUR, description="The longest that it doubles to."
    )


class CampaignDelivery(Section):
    """How sends are delivered, as far as a campaign may have a way of its own."""

    max_concurrency_per_campaign: kinds.Whole = Field(
        8, ge=1, le=1024, description="Requests of one campaign in flight at once."
    )
    on_unknown_outcome: kinds.OnUnknownOutcome = Field(
        "resend", description="When an answer is lost: `resend` repeats and marks, `hold` settles `in_doubt`."
    )
    same_contact: kinds.SameContact = Field(
        "separate",
        description="Several events of a campaign for one person: `separate` sends them one by one; with `keep_latest` a newer "
        "one takes the place of those that have not gone out (an OTP), with `keep_first` it gives way to one that has no "
        "outcome yet. Who gives way is `superseded`.",
    )
    check_numbers: bool = Field(
        default=False,
        description="Whether `contact.phoneE164` is looked at first: a number that its country cannot have, by its length, is "
        "`rejected` (`contact_refused`) without a request.",
    )
    retry: Retry = Field(default_factory=Retry, description="Attempts and waits.")
    rate_limit: RateLimitSettings = Field(default_factory=RateLimitSettings, description="Limits by time.")
    weight: kinds.Ratio = Field(
        1.0, gt=0, le=1_000, description="A campaign's share of the contacts that go out, beside others that wait."
    )
    answers: Annotated[Mapping[int, kinds.Meaning], kinds.HTTP_STATUSES] = Field(
        default_factory=dict,
        description="What an HTTP status means: `accepted`, `refused`, `not_delivered` or `unknown`.",
        examples=["not_delivered"],
    )
    expires_after_seconds: OptionalSeconds = Field(
        None,
        alias="expires_after",
        gt=0,
        description="The deadline, counted from `occurredAt`, of events that bring none.",
        examples=["5m"],
    )


class DeliverySettings(CampaignDelivery):
    """How sends are delivered, for all campaigns together."""

    max_concurrency: kinds.Whole = Field(32, ge=1, le=1024, description="Requests in flight at once.")
    min_concurrency: kinds.Whole = Field(
        1, ge=1, le=1024, description="The least that the limits of requests in flight are lowered to."
    )
    adaptive_concurrency: bool = Field(
        default=True,
        description="Whether the limits of requests in flight follow the platform: down on 429, 503 and latency that grows "
        "with them, up again while it goes well.",
    )
    reserved_concurrency: kinds.Whole = Field(
        4,
        ge=0,
        le=1024,
        description="Slots that `immediate` events alone may take, half of them those of urgent topics where there are any; in "
        "proportion fewer while the limit is lowered, and one at least is left to others.",
    )
    dry_run: bool = Field(
        default=False,
        description="Do everything but the request: events settle `cancelled` (`dry_run`) when it would be their turn.",
    )
    test_recipients: kinds.Recipients | None = Field(
        None,
        description="Phones and codes, the only ones that are sent to: events for everybody else settle `cancelled` "
        "(`not_a_test_recipient`). Not shown.",
        examples=["better in a file of CAMPAIGN_SECRETS_DIR"],
    )
    rate_limit: GroupRateLimit = Field(default_factory=GroupRateLimit, description="Limits by time.")
    breaker: BreakerSettings = Field(
        default_factory=BreakerSettings, description="When a platform that fails is given a rest."
    )

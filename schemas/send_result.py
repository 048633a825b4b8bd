"""The send result: the outcome of one record. Only describes and validates; `consumer.core.results.result` writes it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from schemas.instants import InstantText

ResultStatus = Literal[
    "accepted",
    "rejected",
    "failed",
    "expired",
    "superseded",
    "duplicate",
    "invalid",
    "cancelled",
    "in_doubt",
]
InvalidReason = Literal["not_utf8", "not_json", "not_an_object", "schema", "too_large", "tombstone"]
ResultReason = Literal[
    "platform_reported_errors",
    "unreadable_answer",
    "contact_refused",
    "campaign_refused",
    "schedule_not_configured",
    "held",
    "retries_exhausted",
    "retry_age",
    "deadline",
    "too_old",
    "newer_event",
    "older_event",
    "repeated",
    "not_utf8",
    "not_json",
    "not_an_object",
    "schema",
    "too_large",
    "tombstone",
    "operator",
    "dry_run",
    "not_a_test_recipient",
    "answer_lost",
    "server_error",
    "owner_lost",
]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)


class ResultRelated(_Model):
    """The event that a duplicate repeats, or that replaced a superseded one."""

    event_id: str = Field(description="Its event ID.")
    partition: Annotated[int, Field(ge=0)] = Field(description="Its partition, in the same topic.")
    offset: Annotated[int, Field(ge=0)] = Field(description="Its offset.")


class ResultSource(_Model):
    """The record's topic, partition and offset."""

    topic: str = Field(description="The record's topic.")
    partition: Annotated[int, Field(ge=0)] = Field(description="The record's partition.")
    offset: Annotated[int, Field(ge=0)] = Field(description="The record's offset.")


class ResultResponse(_Model):
    """The platform's own words about this contact, masked."""

    status: Annotated[int, Field(ge=100, le=599)] = Field(description="The HTTP status.")
    id: str | int | float | bool | None = Field(
        description="The answer's `data.id`, where that is no object and no list."
    )
    message: str | None = Field(description="The answer's `message`, cut where it is long.")
    item: dict[str, object] | None = Field(description="The item of `data.errors` that names this contact.")


class SendResult(_Model):
    """One result for every record read. Readers deduplicate by resultId: equal IDs have equal content."""

    result_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] = Field(
        description="Made from the record's topic, partition and offset: the same whenever it is published again."
    )
    event_id: str | None = Field(description="The event's ID; null where an invalid record has none that can be read.")
    event_type: str | None = Field(description="The event's type; null as `eventId` is.")
    campaign_id: int | None = Field(description="The event's campaign; null as `eventId` is.")
    status: ResultStatus = Field(description="What became of the record.")
    reason: ResultReason | None = Field(description="Why; null where the status says it all.")
    send_id: str | None = Field(description="The request that decided, as in the service's log; null without one.")
    attempts: Annotated[int, Field(ge=0)] = Field(
        description="How many requests with this event were really started, by all instances together."
    )
    external_reference: str | None = Field(description="As the platform's reports know it; default: the event ID.")
    resend_id: str | None = Field(description="The record's header `resend-id`, where it is a deliberate resend.")
    resend_reason: str | None = Field(description="The record's header `resend-reason`.")
    possible_duplicate: bool = Field(description="Accepted, and the contact may have been texted twice.")
    related: ResultRelated | None = Field(
        description="The event that a duplicate repeats, or that took the place of a superseded one; null otherwise."
    )
    detail: str | None = Field(
        default=None,
        description="What is wrong with an invalid record, without any value of it; null for every other status.",
    )
    occurred_at: InstantText | None = Field(description="The event's `occurredAt`; null as `eventId` is.")
    received_at: InstantText = Field(description="When the record was read.")
    dispatched_at: InstantText | None = Field(
        description="The start of the deciding request; null where no request decided."
    )
    completed_at: InstantText = Field(description="When the outcome was known.")
    source: ResultSource = Field(description="The topic, partition and offset of the record.")
    response: ResultResponse | None = Field(
        description="The platform's words about this contact, masked; null without an answer."
    )

"""The send result: what becomes of every record read. Describes and checks; `consumer.core.result` writes it."""

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
    "answer_lost",
    "server_error",
    "owner_lost",
]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)


class ResultRelated(_Model):
    """The event that a duplicate repeats, or that replaced a superseded one."""

    event_id: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]


class ResultSource(_Model):
    """Where the record stands."""

    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]


class ResultResponse(_Model):
    """The platform's own words about this contact, masked."""

    status: Annotated[int, Field(ge=100, le=599)]
    id: str | int | float | bool | None
    message: str | None
    item: dict[str, object] | None


class SendResult(_Model):
    """One result for every record read. Readers deduplicate by resultId: equal IDs have equal content."""

    result_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    event_id: str | None
    event_type: str | None
    campaign_id: int | None
    status: ResultStatus
    reason: ResultReason | None
    send_id: str | None
    attempts: Annotated[int, Field(ge=0)] = Field(description="Requests really started, across owners.")
    external_reference: str | None
    resend_id: str | None
    resend_reason: str | None
    possible_duplicate: bool = Field(description="The contact may have been texted twice.")
    related: ResultRelated | None
    detail: str | None = Field(
        default=None,
        description="What is wrong with an invalid record, without any value of it; null for every other status.",
    )
    occurred_at: InstantText | None
    received_at: InstantText
    dispatched_at: InstantText | None = Field(description="The start of the deciding request.")
    completed_at: InstantText
    source: ResultSource
    response: ResultResponse | None

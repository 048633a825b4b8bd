"""A dead letter's headers: why a record was no valid event. Key and value are the record's own."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.send_result import InvalidReason

HEADER_PREFIX: Final = "dlq-"

_Number = Annotated[str, StringConstraints(pattern=r"^-?[0-9]+$")]


def _header(alias: str) -> str:
    return HEADER_PREFIX + alias


class DeadLetterHeaders(BaseModel):
    """The headers that are added to the record's own; every value is UTF-8 text."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=_header)

    reason: InvalidReason = Field(description="The reason in the record's result.")
    detail: str = Field(description="Field path and rule, never a value of the record.")
    topic: str = Field(description="The record's topic.")
    partition: _Number = Field(description="The record's partition.")
    offset: _Number = Field(description="The record's offset.")
    timestamp: _Number = Field(description="The record's own, in milliseconds since 1970-01-01T00:00:00Z.")
    truncated: str | None = Field(
        default=None, description="Only where something did not fit: what was left out, with its size in bytes."
    )

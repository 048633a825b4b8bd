"""The contact event: this model defines what a valid event is. Never decodes bytes and never sends.

Strict in types, tolerant of unknown fields; an optional member that is null counts as left out.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from schemas.instants import InstantText, instant_of
from schemas.mistake import SchemaError, mistake_of

# Many JSON parsers silently round numbers beyond 64 bits: it is better to refuse them than to text a wrong number. The
# bounds of a float exclude the doubles that integers just beyond the bounds are rounded to.
LEAST_INTEGER: Final = -(2**63)
GREATEST_INTEGER: Final = 2**64 - 1
LEAST_FLOAT: Final = -(2.0**63)
GREATEST_FLOAT: Final = 2.0**64
MAX_ORIGIN_DATA_DEPTH: Final = 32
GREATEST_CAMPAIGN_ID: Final = 2**63 - 1

Scalar = (
    str
    | bool
    | Annotated[int, Field(ge=LEAST_INTEGER, le=GREATEST_INTEGER)]
    | Annotated[float, Field(gt=LEAST_FLOAT, lt=GREATEST_FLOAT, allow_inf_nan=False)]
    | None
)


def _sendable(data: dict[str, object]) -> dict[str, object]:
    """Check that every JSON parser reads the same numbers, and that the nesting is bounded."""
    level: list[object] = [data]
    for _ in range(MAX_ORIGIN_DATA_DEPTH):
        if not level:
            return data
        inner: list[object] = []
        for each in level:
            match each:
                case dict():
                    inner.extend(each.values())
                case list():
                    inner.extend(each)
                case float() if not LEAST_FLOAT < each < GREATEST_FLOAT or math.isnan(each):
                    raise ValueError("a number beyond 64 bits")
                case int() if not LEAST_INTEGER <= each <= GREATEST_INTEGER:
                    raise ValueError("a number beyond 64 bits")
                case _:
                    pass
        level = inner
    raise ValueError(f"nested deeper than {MAX_ORIGIN_DATA_DEPTH}")


Identifier = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)


_NAMES: Final = ("phoneE164", "phoneNumber", "externalCode")


class Contact(_Model):
    """One person, named by a phone, a code, or both, with the variables of the campaign's template."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": [n], "properties": {n: {"type": "string"}}} for n in _NAMES]}
    )

    phone_e164: Annotated[str, StringConstraints(pattern=r"^\+[0-9]{7,15}$")] | None = Field(
        default=None, description="E.164; wins over phoneNumber and countryCode."
    )
    phone_number: Annotated[str, StringConstraints(min_length=1)] | None = None
    country_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}$")] | None = Field(
        default=None, description="Country calling code of phoneNumber, without +."
    )
    external_code: Annotated[str, StringConstraints(min_length=1)] | None = Field(
        default=None,
        description="The platform's code of a contact; used only where there is no phone, or to create it.",
    )
    custom_fields: dict[str, Scalar] | None = Field(default=None, description="The template's variables.")
    external_reference: str | None = Field(
        default=None, description="Travels to the platform's reports and into the result; default: the event ID."
    )

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.phone_e164 is None and self.phone_number is None and self.external_code is None:
            raise ValueError(f"at least one of {', '.join(_NAMES)} is required")
        return self


class SendOptions(_Model):
    """How the campaign is sent. Events with different options never share a request."""

    scheduled_at: InstantText | None = Field(
        default=None, description="Send at this time instead of now, to the second; one in the past is sent now."
    )
    flash: bool | None = Field(default=None, description="Default: false.")
    charset: Literal["auto", "standard", "spanish"] | None = Field(default=None, description="Default: auto.")
    send_type_override: Literal["list", "all"] | None = Field(
        default=None, description="list: transactional (default), all: massive."
    )
    origin_data: Annotated[dict[str, object], AfterValidator(_sendable)] | None = None


class ContactEvent(_Model):
    """A request of an upstream service: send a person a text of this campaign."""

    event_id: Identifier = Field(description="The identity for deduplication.")
    event_type: Identifier
    occurred_at: InstantText
    campaign_id: Annotated[int, Field(ge=1, le=GREATEST_CAMPAIGN_ID)]
    contact: Contact
    send: SendOptions | None = None
    expires_at: InstantText | None = Field(
        default=None, description="No request carrying this event starts at or after it."
    )
    priority: Literal["normal", "immediate"] | None = Field(
        default=None,
        description="Default: normal, on an urgent topic immediate. An immediate event does not wait for its window.",
    )

    @model_validator(mode="after")
    def _is_scheduled_before_it_expires(self) -> Self:
        scheduled_at = self.send and self.send.scheduled_at
        if scheduled_at and self.expires_at and instant_of(scheduled_at) >= instant_of(self.expires_at):
            raise ValueError("send.scheduledAt must be before expiresAt")
        return self


_OPEN_FIELDS: Final = {
    "contact.customFields": "must be an object of strings, booleans, nulls and numbers of at most 64 bits",
    "send.originData": f"must be an object, nested at most {MAX_ORIGIN_DATA_DEPTH} deep, its numbers of at most 64 bits",
}
_validate = ContactEvent.__pydantic_validator__.validate_python


def contact_event_of(document: Mapping[str, object]) -> ContactEvent:
    """Read a decoded JSON object.

    Raises:
        SchemaError: it is no valid event; the message names fields and rules, never values.
    """
    try:
        event: ContactEvent = _validate(document)
    except ValidationError as error:
        raise mistake_of(error, open_fields=_OPEN_FIELDS) from None
    return event


__all__ = ["Contact", "ContactEvent", "SchemaError", "SendOptions", "contact_event_of"]

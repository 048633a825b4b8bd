"""The body of a campaign send, with the default JSON names of the platform. Writes no body.

The JSON names are configurable (`API__FIELD_NAMES__*`), and the schedule's has no default. So unknown names are allowed and
ignored.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from schemas.contact_event import Scalar


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True, alias_generator=to_camel)


class SendContact(_Model):
    """One contact of a send."""

    phone_e164: str | None = None
    phone_number: str | None = None
    country_code: str | None = None
    external_code: str | None = None
    custom_fields: dict[str, Scalar] = Field(default_factory=dict)
    custom_data: str | None = Field(default=None, description="The external reference.")

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.phone_e164 is None and self.phone_number is None and self.external_code is None:
            raise ValueError("a contact needs a phone or an external code")
        return self


class CampaignSend(_Model):
    """One campaign to a non-empty list of contacts, with options that hold for all of them."""

    campaign_id: int
    flash: bool = False
    charset: Literal["auto", "standard", "spanish"] = "auto"
    send_type_override: Literal["list", "all"] = "list"
    origin_data: dict[str, object] = Field(default_factory=dict)
    contacts: Annotated[list[SendContact], Field(min_length=1)]

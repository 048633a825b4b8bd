"""The ordinary event in the shape that decodes fastest. Never the truth: that is `schemas.contact_event`.

Narrower than the truth, so that whatever is accepted here is accepted there with the same fields: nothing is skipped
unread (a field that is not known here, or origin data that is nested, fails), and every number has its bounds.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from schemas.contact_event import GREATEST_CAMPAIGN_ID, GREATEST_FLOAT, LEAST_FLOAT, LEAST_INTEGER

_Scalar = (
    str
    | bool
    | Annotated[int, Meta(ge=LEAST_INTEGER, le=2**63 - 1)]
    | Annotated[float, Meta(gt=LEAST_FLOAT, lt=GREATEST_FLOAT)]
    | None
)
_Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
_E164Length = Annotated[str, Meta(min_length=8, max_length=16)]  # a pattern would cost as much as the rest together
_CountryCode = Annotated[str, Meta(pattern=r"^[0-9]{1,3}\Z")]
_NonEmpty = Annotated[str, Meta(min_length=1)]


class FastContact(msgspec.Struct, gc=False, forbid_unknown_fields=True, rename="camel"):
    """As `schemas.contact_event.Contact`.

    Left to the decoder: that `phone_e164` is + and digits, and that somebody is named.
    """

    phone_e164: _E164Length | None = msgspec.field(default=None, name="phoneE164")
    phone_number: _NonEmpty | None = None
    country_code: _CountryCode | None = None
    external_code: _NonEmpty | None = None
    custom_fields: dict[str, _Scalar] | None = None
    external_reference: str | None = None


class FastSend(msgspec.Struct, gc=False, forbid_unknown_fields=True, rename="camel"):
    """As `schemas.contact_event.SendOptions`, with flat origin data only."""

    scheduled_at: str | None = None
    flash: bool | None = None
    charset: Literal["auto", "standard", "spanish"] | None = None
    send_type_override: Literal["list", "all"] | None = None
    origin_data: dict[str, _Scalar] | None = None


class FastEvent(msgspec.Struct, gc=False, forbid_unknown_fields=True, rename="camel"):
    """As `schemas.contact_event.ContactEvent`."""

    event_id: _Identifier
    event_type: _Identifier
    occurred_at: str
    campaign_id: Annotated[int, Meta(ge=1, le=GREATEST_CAMPAIGN_ID)]
    contact: FastContact
    send: FastSend | None = None
    expires_at: str | None = None
    priority: Literal["normal", "immediate"] | None = None


_EVENT_FIELDS: Final = FastEvent.__struct_encode_fields__
_INNER_FIELDS: Final = (
    ("contact", FastContact.__struct_encode_fields__),
    ("send", FastSend.__struct_encode_fields__),
)

fast_event_of: Final = msgspec.json.Decoder(FastEvent).decode
"""Decode bytes; raises msgspec.MsgspecError or ValueError for whatever is not plainly an ordinary event."""


def fast_event_in(document: Mapping[str, object]) -> FastEvent:
    """Take the fields that are known out of a decoded object; raises msgspec.MsgspecError like `fast_event_of`."""
    known = {name: document[name] for name in _EVENT_FIELDS if name in document}
    for name, fields in _INNER_FIELDS:
        inner = known.get(name)
        if isinstance(inner, dict):
            known[name] = {field: inner[field] for field in fields if field in inner}
    return msgspec.convert(known, FastEvent)

"""A contact and the send options as the platform reads them, under its configured names. Joins no body: `post` does."""

import math
from collections.abc import Callable
from typing import Any, Final

import msgspec

from consumer.core.intake.fast_event import FastSend
from consumer.core.outcome import Reason
from consumer.core.policy import WireNames
from consumer.core.terms import Instant, Now
from schemas.contact_event import SendOptions
from schemas.instants import END_OF_TIME, instant_of, text_of
from schemas.mistake import SchemaError

_CONTACT_FIELDS: Final = (
    ("phone_e164", str | None),
    ("phone_number", str | None),
    ("country_code", str | None),
    ("external_code", str | None),
    ("custom_fields", dict[str, Any] | None),
    ("external_reference", str | None),
)

# Not orjson: what it returns keeps 4 KiB of memory, whatever its length, and this is held as long as the event.
encode: Final = msgspec.json.Encoder().encode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode


def contact_shape(names: WireNames) -> Callable[..., object]:
    """Return what makes a contact to be encoded: by position, as `_CONTACT_FIELDS` has them; None is left out.

    A C struct, because a contact is encoded once per record, and building a dict for it takes twice as long.
    """
    return msgspec.defstruct(
        "WireContact",
        [(name, kind, None) for name, kind in _CONTACT_FIELDS],
        rename={name: getattr(names, name) for name, _ in _CONTACT_FIELDS},
        omit_defaults=True,
        gc=False,
    )


def options_of(
    send: FastSend | SendOptions, names: WireNames, expires_at: Instant | None, now: Now
) -> tuple[bytes, Reason | None]:
    """The inside of the options' JSON object in canonical order, without defaults; why they cannot be sent.

    Raises:
        SchemaError: the schedule contradicts the event's end, or is none that the platform could read.
    """
    members: dict[str, object] = {}
    unsendable = None
    if send.scheduled_at is not None:
        scheduled_at = instant_of(send.scheduled_at)
        if expires_at is not None and scheduled_at >= expires_at:
            raise SchemaError("send.scheduledAt: must be before the event expires")
        if scheduled_at > now.wall and names.scheduled_at is None:
            unsendable = Reason.SCHEDULE_NOT_CONFIGURED
        elif scheduled_at > now.wall and names.scheduled_at is not None:
            members[names.scheduled_at] = _schedule_text(scheduled_at)
    if send.flash:
        members[names.flash] = True
    if send.charset is not None and send.charset != "auto":
        members[names.charset] = send.charset
    if send.send_type_override is not None and send.send_type_override != "list":
        members[names.send_type_override] = send.send_type_override
    if send.origin_data:
        members[names.origin_data] = send.origin_data
    return _encode_sorted(members)[1:-1], unsendable


def _schedule_text(instant: float) -> str:
    """As the platform reads it: `YYYY-MM-DDThh:mm:ssZ`; never later than asked for."""
    if instant >= END_OF_TIME:
        raise SchemaError("send.scheduledAt: must be an instant of a year with four digits")
    return text_of(math.floor(instant))[:-5] + "Z"  # without .000Z

"""The types of a send request, and their strict, fast parsing. Never explains a mistake itself.

Most requests are valid, so parsing is one typed decode and one pattern over all phones at once. An invalid request goes to
`mistakes.py`, which says slowly and for people which field breaks which rule.
"""

from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from consumer.sandbox import rules
from consumer.sandbox.mistakes import BrokenRule, find_mistakes

Scalar = str | int | float | bool | None


class RequestedContact(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """One entry of `contacts`. The form of `phone_e164` is checked by the reader, for all contacts at once."""

    phone_e164: str | UnsetType = UNSET
    phone_number: Annotated[str, Meta(pattern=rf"\A(?:{rules.PHONE_NUMBER.pattern})\Z")] | UnsetType = UNSET
    country_code: Annotated[str, Meta(pattern=rf"\A{rules.COUNTRY_CODE.pattern}\Z")] | UnsetType | None = UNSET
    external_code: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET
    custom_fields: dict[str, Scalar] | UnsetType = UNSET
    custom_data: str | UnsetType | None = UNSET


class SendRequest(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """A send request. The JSON name of `schedule_at` is not documented by the platform, so it is configurable."""

    campaign_id: Annotated[int, Meta(ge=1, le=rules.MAX_CAMPAIGN_ID)]
    schedule_at: Annotated[str, Meta(pattern=rf"\A{rules.SCHEDULE.pattern}\Z")] | UnsetType = UNSET
    flash: bool = False
    charset: Literal["auto", "standard", "spanish"] = "auto"
    send_type_override: Literal["list", "all"] = "list"
    origin_data: dict[str, Any] | UnsetType = UNSET
    contacts: Annotated[list[RequestedContact], Meta(min_length=1)]


class InvalidRequest(msgspec.Struct, frozen=True):
    """The body is no valid request: the status to answer and every rule that it breaks."""

    status: int
    mistakes: list[BrokenRule]


class RequestReader:
    """Parses bodies by one set of JSON names and limits."""

    def __init__(self, *, schedule_field: str, max_contacts: int | None) -> None:
        if schedule_field in rules.FIXED_SEND_FIELDS:
            raise ValueError(f"{schedule_field} is the name of another field")
        self._schedule_field = schedule_field
        self._max_contacts = max_contacts
        self._decoder = cast("msgspec.json.Decoder[SendRequest]", msgspec.json.Decoder(_request_type(schedule_field)))

    def read(self, body: bytes) -> SendRequest | InvalidRequest:
        """Return the request in `body`, or why it is refused."""
        try:
            request = self._decoder.decode(body)
        except (ValueError, RecursionError) as error:  # msgspec's errors and UnicodeDecodeError are ValueErrors
            return self._refuse(body, otherwise=str(error))
        if not _contacts_are_right(request.contacts):
            return self._refuse(body, otherwise="a contact breaks a rule")
        if request.schedule_at is not UNSET and not rules.is_instant(request.schedule_at):
            return self._refuse(body, otherwise="the schedule is no date")
        if self._max_contacts is not None and len(request.contacts) > self._max_contacts:
            rule = f"at most {self._max_contacts} in one request, these are {len(request.contacts)}"
            return InvalidRequest(413, [BrokenRule(field="contacts", rule=rule)])
        return request

    def again(self, body: bytes) -> SendRequest:
        """Parse a body that was accepted before."""
        return self._decoder.decode(body)

    def _refuse(self, body: bytes, *, otherwise: str) -> InvalidRequest:
        status, mistakes = find_mistakes(body, schedule_field=self._schedule_field)
        return InvalidRequest(status, mistakes or [BrokenRule(field="body", rule=otherwise)])


def _contacts_are_right(contacts: list[RequestedContact]) -> bool:
    phones = [phone for contact in contacts if (phone := contact.phone_e164) is not UNSET]
    if phones:
        joined = "\n".join(phones)
        if joined.count("\n") != len(phones) - 1 or rules.PHONES.fullmatch(joined) is None:
            return False
    if len(phones) == len(contacts):
        return True
    return all(
        contact.phone_e164 is not UNSET or contact.phone_number is not UNSET or contact.external_code is not UNSET
        for contact in contacts
    )


def _request_type(schedule_field: str) -> type[msgspec.Struct]:
    """Return `SendRequest` with another JSON name for the schedule; a subclass cannot rename an inherited field."""
    fields = msgspec.structs.fields(SendRequest)
    return msgspec.defstruct(
        SendRequest.__name__,
        [(field.name, field.type) if field.required else (field.name, field.type, field.default) for field in fields],
        kw_only=True,
        frozen=True,
        forbid_unknown_fields=True,
        gc=False,
        rename={field.name: field.encode_name for field in fields} | {"schedule_at": schedule_field},
    )

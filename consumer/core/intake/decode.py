"""Bytes to events: every record becomes an `Event` or an `Invalid`, never an exception. Decides nothing about sending.

Two ways lead to the same event. Ordinary records go through one typed decode (`fast_event`), also when they stand in
an envelope or bring fields that nobody knows; what that does not accept goes through `schemas`, which alone says what
is invalid, and why.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from sys import intern
from typing import Final, cast

import msgspec
import orjson
from xxhash import xxh3_128_digest

from consumer.core.event import (
    MAX_KEY_BYTES,
    NO_RESEND,
    Decoded,
    Event,
    GroupKey,
    Identity,
    Record,
    Resend,
    UnreadableRecord,
    result_key,
)
from consumer.core.intake.fast_event import FastContact, FastEvent, FastSend, fast_event_in, fast_event_of
from consumer.core.intake.headers import NO_MARKS, Marks, is_mark, trace_of
from consumer.core.intake.invalid import (
    EVENT_OVERHEAD_BYTES,
    MAX_REFERENCE_CHARS,
    MistakeError,
    invalid_record,
    object_of,
    too_large,
    unframed,
)
from consumer.core.intake.numbers import is_possible
from consumer.core.intake.unknown_fields import Lookalike, UnknownFields
from consumer.core.intake.wire import contact_shape, encode, options_of
from consumer.core.outcome import Reason
from consumer.core.people import PEOPLE, Recipients
from consumer.core.person import TELLING, UNSURE_OPENINGS, person_of, person_of_e164
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Partition, millisecond_of
from schemas.contact_event import Contact, ContactEvent, SendOptions, contact_event_of
from schemas.envelopes import check_attributes, filled, structured_data_of
from schemas.instants import instant_of
from schemas.mistake import SchemaError

TRACE_BYTES: Final = 256
"""What an event's trace takes beside the bytes of its headers: three tuples, and what each object costs."""
_MAX_CAMPAIGNS_KNOWN: Final = 4096
_MAX_HEADERS_KNOWN: Final = 1024
_RESENT: Final = 1  # seed of a resend's fingerprint; a first send has 0
_NOT_ORDINARY: Final = (msgspec.MsgspecError, ValueError)
"""What the fast way raises: no such event, an instant that is none, a mistake that only the other way can tell."""

_instant_of = cast("Callable[[str], Instant]", instant_of)  # once: a cast is a call, and this stands on the hot path


Switches = tuple[int, bool | None, str | None, str | None]
"""The kind of identity, then the send options that are no more than switches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Campaign:
    """What a campaign's policy means to its events."""

    room_bytes: int
    """For options and one contact, in a request of its own."""
    easy_bytes: int
    """What fits in any case, and holds no reference that is too long."""
    expires_after_seconds: float | None
    checks_numbers: bool
    is_choosy: bool
    """Whether it depends on the contact if anything may go there."""
    groups: tuple[GroupKey, ...]
    """Of events without send options, by kind of identity."""
    persons: tuple[str, ...]
    """What stands before an identity, by its kind, so that the whole is a person of this campaign and no other's."""
    switched: dict[Switches, GroupKey] = field(default_factory=dict)
    """Of events whose options are but switches: there are few, and most are alike."""


class Decoder:
    """Decodes fetched batches under the operator's policies."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._names = policies.field_names
        self._urgent_topics = policies.urgent_topics
        self._recipients = Recipients(policies.test_recipients) if policies.test_recipients else None
        self._wire_contact = contact_shape(policies.field_names)
        self._campaigns: dict[int, _Campaign] = {}
        self._plain_headers: set[str] = set()
        """Names of headers that say nothing to us, as far as they were met: `traceparent` is everywhere."""
        self._unknown_fields = UnknownFields()
        self._last_occurred = ("1970-01-01T00:00:00Z", Instant(0.0))
        """The latest instant that was read, with its text: neighbours often share it."""
        self._received_at = Instant(0.0)
        """Of the batch that is decoded; one object for all of its records."""

    def batch(self, partition: Partition, records: Sequence[Record], now: Now) -> list[Decoded]:
        """Decode a fetched batch, in its order."""
        decoded: list[Decoded] = []
        append, event_of, plain = decoded.append, self._event, self._plain_headers
        keeps_traces = self._policies.keeps_traces
        self._received_at = millisecond_of(now.wall)
        for record in records:
            value, headers = record.value, record.headers
            # No header, or the one of tracing that is everywhere: no call for these.
            if value and (not headers or (len(headers) == 1 and headers[0][0] in plain) or self.says_nothing(headers)):
                try:
                    append(event_of(partition, record, fast_event_of(value), NO_RESEND, now))
                except _NOT_ORDINARY:
                    append(self._unusual(partition, record, now))
            else:
                append(self._unusual(partition, record, now))
            if keeps_traces and headers and (trace := trace_of(headers)):
                one = decoded[-1]
                one.trace = trace
                one.size_bytes += TRACE_BYTES + sum([len(content) for _, content in trace])
        return decoded

    def lookalikes(self) -> Mapping[Lookalike, int]:
        """Return the unknown fields, of the records since the last time, whose names are like known ones."""
        return self._unknown_fields.taken()

    def says_nothing(self, headers: Sequence[tuple[str, bytes]]) -> bool:
        """Whether no header concerns us; names that do not are remembered."""
        plain = self._plain_headers
        for name, _ in headers:
            if name not in plain:
                if is_mark(name):
                    return False
                if len(plain) < _MAX_HEADERS_KNOWN:
                    plain.add(name)
        return True

    # ---------------------------------------------------------------- an event, whichever way it came

    def _event(
        self, partition: Partition, record: Record, fields: FastEvent | ContactEvent, resend: Resend, now: Now
    ) -> Event:
        contact, send, priority = fields.contact, fields.send, fields.priority
        campaign = self._campaigns.get(fields.campaign_id) or self._campaign(fields.campaign_id)
        phone, event_id, occurred_at = contact.phone_e164, fields.event_id, fields.occurred_at
        reference = contact.external_reference or event_id
        if phone is None:
            kind, person = _person(contact)
        elif phone.rstrip("0123456789") == "+":  # nothing but digits follows
            kind, person = person_of_e164(phone) if phone[:5] in UNSURE_OPENINGS else (Identity.E164, phone[TELLING])
        else:
            raise MistakeError(Reason.SCHEMA, "contact.phoneE164: must be + and 7 to 15 digits")
        text, occurred = self._last_occurred
        if occurred_at == text:
            occurred_at = text  # one string for all of them
        else:
            occurred = _instant_of(occurred_at)
            self._last_occurred = occurred_at, occurred
        expires_at = None if fields.expires_at is None else _instant_of(fields.expires_at)
        if expires_at is None and campaign.expires_after_seconds is not None:
            expires_at = Instant(occurred + campaign.expires_after_seconds)
        unsendable = self._withheld(campaign, kind, person, contact) if campaign.is_choosy else None
        if send is None:
            group = campaign.groups[kind]
        elif send.scheduled_at is None and not send.origin_data:
            switches = kind, send.flash, send.charset, send.send_type_override
            group = campaign.switched.get(switches) or self._switched(campaign, kind, send, switches, now)
        else:
            group, why = self._group(campaign, kind, send, _first_of(expires_at, resend.expires_at), now)
            unsendable = unsendable or why
        number, code, external = contact.phone_number, contact.country_code, contact.external_code
        fragment = encode(self._wire_contact(phone, number, code, external, contact.custom_fields or None, reference))
        takes_bytes = len(fragment) + len(group.options)
        if takes_bytes > campaign.easy_bytes and (
            takes_bytes > campaign.room_bytes or len(reference) > MAX_REFERENCE_CHARS
        ):
            raise too_large(reference, campaign.room_bytes)
        immediate = partition.topic in self._urgent_topics if priority is None else priority == "immediate"
        fingerprint = xxh3_128_digest(event_id.encode()) if resend.id is None else _resent(event_id, resend.id)
        key, value = record.key, record.value or b""
        size_bytes = len(value) + (len(key) if key else 0) + EVENT_OVERHEAD_BYTES
        key = key if size_bytes <= MAX_KEY_BYTES else result_key(key)
        return Event(  # by position: see there
            partition,
            record.offset,  # type: ignore[arg-type] # an Offset; saying so would be a call
            key, event_id, intern(fields.event_type), occurred_at, occurred, reference, resend, fingerprint, group,
            campaign.persons[kind] + person, fragment, expires_at if resend.expires_at is None else resend.expires_at,
            immediate, unsendable, size_bytes, record.timestamp, self._received_at, now.steady,
        )  # fmt: skip

    def _withheld(self, campaign: _Campaign, kind: int, person: str, contact: FastContact | Contact) -> Reason | None:
        """Why nothing goes to this person, whatever else the event asks for; None where it may."""
        number = contact.phone_e164 or contact.phone_number
        if self._recipients is not None and not self._recipients.has(kind, person, number, contact.external_code):
            return Reason.NOT_A_TEST_RECIPIENT
        if campaign.checks_numbers and contact.phone_e164 is not None and not is_possible(contact.phone_e164):
            return Reason.CONTACT_REFUSED
        return None

    def _group(
        self, campaign: _Campaign, kind: int, send: FastSend | SendOptions, expires_at: Instant | None, now: Now
    ) -> tuple[GroupKey, Reason | None]:
        """Who this event may share a request with; why no request can carry it."""
        group = campaign.groups[kind]
        options, unsendable = options_of(send, self._names, expires_at, now)
        return GroupKey(group.campaign_id, options, kind) if options else group, unsendable

    def _switched(
        self, campaign: _Campaign, kind: int, send: FastSend | SendOptions, switches: Switches, now: Now
    ) -> GroupKey:
        """Who events whose options are but these switches share a request with, from now on."""
        group, _ = self._group(campaign, kind, send, None, now)
        campaign.switched[switches] = group
        return group

    def _campaign(self, campaign_id: int) -> _Campaign:
        policy, names = self._policies.of(campaign_id), self._names
        frame = orjson.dumps({names.campaign_id: campaign_id, names.contacts: []})
        room_bytes = policy.max_bytes - len(frame) - 2  # a comma before the options, one counted for each contact
        campaign = _Campaign(
            room_bytes=room_bytes,
            easy_bytes=min(room_bytes, MAX_REFERENCE_CHARS),
            expires_after_seconds=policy.expires_after_seconds,
            checks_numbers=policy.check_numbers,
            is_choosy=policy.check_numbers or self._recipients is not None,
            groups=tuple(GroupKey(campaign_id, b"", kind) for kind in range(len(PEOPLE))),
            persons=tuple(f"{campaign_id} {people} " for people in PEOPLE),
        )
        if len(self._campaigns) >= _MAX_CAMPAIGNS_KNOWN:
            self._campaigns.clear()
        self._campaigns[campaign_id] = campaign
        return campaign

    # ---------------------------------------------------------------- the way of everything that is not ordinary

    def _unusual(self, partition: Partition, record: Record, now: Now) -> Decoded:
        if type(record) is UnreadableRecord:
            detail = f"the record cannot be read: {record.why}"
            return invalid_record(
                partition, record, reason=Reason.NOT_JSON, detail=detail, seen={}, marks=NO_MARKS, now=now
            )
        marks = Marks(record.headers) if record.headers else NO_MARKS
        seen: Mapping[str, object] = {}
        try:
            payload = unframed(record.value)
            if marks.is_enveloped:
                seen = _document_of_cloud_event(payload, marks)
            else:
                if payload is not record.value or marks.found_any:  # not yet tried
                    with suppress(*_NOT_ORDINARY):
                        return self._event(partition, record, fast_event_of(payload), marks.resend(), now)
                seen = object_of(payload)
            self._unknown_fields.look(seen)
            with suppress(*_NOT_ORDINARY):
                return self._event(partition, record, fast_event_in(seen), marks.resend(), now)
            return self._event(partition, record, contact_event_of(seen), marks.resend(), now)
        except SchemaError as mistake:
            reason, detail = Reason.SCHEMA, str(mistake)
        except MistakeError as mistake:
            reason, detail, seen = mistake.reason, str(mistake), mistake.seen or seen
        return invalid_record(partition, record, reason=reason, detail=detail, seen=seen, marks=marks, now=now)


def _document_of_cloud_event(payload: bytes, marks: Marks) -> dict[str, object]:
    attributes = object_of(payload) if marks.is_structured else marks.attributes()
    seen = filled({}, attributes)
    try:
        check_attributes(attributes)
        data = structured_data_of(attributes) if marks.is_structured else payload
    except SchemaError as mistake:
        raise MistakeError(Reason.SCHEMA, str(mistake), seen) from None
    if isinstance(data, bytes):
        data = object_of(data, seen)
    if not isinstance(data, dict):
        raise MistakeError(Reason.NOT_AN_OBJECT, "the data of the CloudEvent is not a JSON object", seen)
    return filled(data, attributes)


def _person(contact: FastContact | Contact) -> tuple[int, str]:
    if contact.phone_number is None and contact.external_code is None:
        raise MistakeError(Reason.SCHEMA, "contact: nobody is named")
    return person_of(
        phone_e164=None,
        phone_number=contact.phone_number,
        country_code=contact.country_code,
        external_code=contact.external_code,
    )


def _first_of(own: Instant | None, resends: Instant | None) -> Instant | None:
    """The deadline that a schedule has to be before: an event that its own makes invalid is not mended by a resend."""
    if own is None or resends is None:
        return resends if own is None else own
    return min(own, resends)


def _resent(event_id: str, resend_id: str) -> bytes:
    """The fingerprint of a resend: the first ID's length tells where the second begins."""
    first = event_id.encode()
    return xxh3_128_digest(len(first).to_bytes(4, "big") + first + resend_id.encode(), seed=_RESENT)

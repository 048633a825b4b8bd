"""The platform's behaviour: judges each request and records it. Never touches a connection or a clock.

Accepted contacts are recorded in the same step that judges the body, before any answer, delay or broken connection.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from http import HTTPStatus
from typing import assert_never

from msgspec import UNSET

from consumer.sandbox import replies
from consumer.sandbox.armed import NOTHING_FIRED, ArmedFaults, FiredFaults, Load
from consumer.sandbox.facts import RequestOutcome, RequestSeen
from consumer.sandbox.faults import (
    AnswerStatus,
    Capacity,
    Close,
    Deciding,
    Garbage,
    HalfBody,
    HalfHead,
    Hang,
    ItemErrors,
    RefuseCampaign,
    RefuseContact,
    Reset,
    Unreadable,
)
from consumer.sandbox.people import PeopleOfThePlatform, Person
from consumer.sandbox.records import Records
from consumer.sandbox.replies import Answer, Reply, Spoiling, Spoilt
from consumer.sandbox.wire import InvalidRequest, RequestedContact, RequestReader, SendRequest

SPOILINGS = {
    Hang: Spoiling.HANG,
    Reset: Spoiling.RESET,
    Close: Spoiling.CLOSE,
    HalfHead: Spoiling.HALF_HEAD,
    HalfBody: Spoiling.HALF_BODY,
    Garbage: Spoiling.GARBAGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """When a request's first byte came, when its body was complete, and on which connection."""

    first_byte_at: float
    received_at: float
    connection: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestVerdict:
    """The record of a request, and its answer."""

    seen: RequestSeen
    answer: Answer
    fired: FiredFaults = NOTHING_FIRED
    """The faults that delay the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is accepted of one request."""

    left_out: frozenset[int]
    accepted: int
    created: int
    duplicates: int
    disabled: int


class SandboxPlatform:
    """One sandbox's state: people, faults, records."""

    def __init__(self, *, schedule_field: str, max_contacts: int | None) -> None:
        self._reader = RequestReader(schedule_field=schedule_field, max_contacts=max_contacts)
        self.directory = PeopleOfThePlatform()
        self.faults = ArmedFaults()
        self.records = Records(reader=self._reader, directory=self.directory)

    def forget(self) -> None:
        """Forget requests and people; faults and disabled people stay, they have endpoints of their own."""
        self.directory.forget()
        self.records.forget()

    def refuse_unread(
        self, arrival: Arrival, reply: Reply, *, outcome: RequestOutcome, message: str, body_bytes: int = 0
    ) -> RequestVerdict:
        """Record a request that is refused before its contacts are looked at."""
        seen = self._seen(arrival, outcome, message=message, body_bytes=body_bytes)
        self.records.judge(seen)
        return RequestVerdict(seen=seen, answer=reply)

    def receive(self, body: bytes, arrival: Arrival) -> RequestVerdict:
        """Judge the body of a request with the right key."""
        request = self._reader.read(body)
        if isinstance(request, InvalidRequest):
            return self._refuse_invalid(request, arrival, body_bytes=len(body))
        persons = self.directory.persons(request.contacts)
        fired = self.faults.fire(request.campaign_id, request.contacts, persons, self._load(arrival))
        if fired.fault is None or isinstance(fired.fault, ItemErrors) or _accepts(fired.fault):
            return self._accept(body, arrival, request=request, persons=persons, fired=fired)
        seen = self._seen(arrival, RequestOutcome.FAULT, body_bytes=len(body))
        seen.campaign_id = request.campaign_id
        seen.contacts = len(persons)
        return self._answer_fault(seen, fired.fault, fired)

    def _refuse_invalid(self, request: InvalidRequest, arrival: Arrival, *, body_bytes: int) -> RequestVerdict:
        """Refuse a body; a platform that fails, or lets nobody in, does not come to look at it."""
        fired = self.faults.fire_unread(self._load(arrival))
        if fired.fault is not None:
            return self._answer_fault(
                self._seen(arrival, RequestOutcome.FAULT, body_bytes=body_bytes), fired.fault, fired
            )
        reply = replies.invalid(request.status, request.mistakes)
        message = f"{request.mistakes[0].field}: {request.mistakes[0].rule}"
        verdict = self.refuse_unread(
            arrival, reply, outcome=RequestOutcome.INVALID, message=message, body_bytes=body_bytes
        )
        return replace(verdict, fired=fired)

    def _load(self, arrival: Arrival) -> Load:
        return Load(now=arrival.received_at, in_flight=self.records.in_flight)

    def _answer_fault(self, seen: RequestSeen, fault: Deciding, fired: FiredFaults) -> RequestVerdict:
        """Answer by a fault; nobody is texted."""
        seen.fault = fired.name
        self.records.judge(seen)
        answer = _answer_to(fault, fired.positions, request_id=seen.request_id, now=seen.received_at)
        return RequestVerdict(seen=seen, answer=answer, fired=fired)

    def _accept(
        self, body: bytes, arrival: Arrival, *, request: SendRequest, persons: list[Person], fired: FiredFaults
    ) -> RequestVerdict:
        seen = self._seen(arrival, RequestOutcome.ACCEPTED, body_bytes=len(body))
        refused: tuple[int, ...] = ()
        answer: Answer
        match fired.fault:
            case None:
                answer = replies.accepted(seen.request_id)
            case ItemErrors() as fault:
                named = fired.positions or tuple(range(min(fault.count, len(persons))))
                errors = _item_errors(fault, [request.contacts[position] for position in named])
                answer = replies.accepted_with_errors(seen.request_id, errors, status=fault.status)
                refused = () if fault.named_by == "nobody" else named
            case _ as fault:
                answer = _answer_to(fault, fired.positions, request_id=seen.request_id, now=arrival.received_at)
        kept = self._take(request.contacts, persons, refused=refused)
        seen.campaign_id = request.campaign_id
        seen.fault = fired.name
        seen.contacts = len(persons)
        seen.accepted = kept.accepted
        seen.created = kept.created
        seen.duplicates = kept.duplicates
        seen.disabled = kept.disabled
        seen.refused = len(refused)
        self.records.judge(seen)
        if kept.accepted:
            self.records.keep(seen, body=body, left_out=kept.left_out)
        return RequestVerdict(seen=seen, answer=answer, fired=fired)

    def _take(self, contacts: list[RequestedContact], persons: list[Person], *, refused: Sequence[int]) -> _Kept:
        """Text each person once; refused, disabled and repeated contacts are left out."""
        disabled = self.directory.disabled
        if not refused and len(set(persons)) == len(persons) and (not disabled or disabled.isdisjoint(persons)):
            created = self.directory.text(contacts, persons)
            return _Kept(left_out=frozenset(), accepted=len(persons), created=created, duplicates=0, disabled=0)
        texted: dict[Person, int] = {}
        counts = {"disabled": 0, "duplicates": 0}
        left_out = set(refused)
        for position, person in enumerate(persons):
            if position in left_out:
                continue
            if person in disabled:
                counts["disabled"] += 1
                left_out.add(position)
            elif texted.setdefault(person, position) != position:
                counts["duplicates"] += 1
                left_out.add(position)
        created = self.directory.text([contacts[position] for position in texted.values()], list(texted))
        return _Kept(left_out=frozenset(left_out), accepted=len(texted), created=created, **counts)

    def _seen(
        self, arrival: Arrival, outcome: RequestOutcome, *, message: str | None = None, body_bytes: int
    ) -> RequestSeen:
        return RequestSeen(
            request_id=self.records.next_request_id(),
            outcome=outcome,
            first_byte_at=arrival.first_byte_at,
            received_at=arrival.received_at,
            connection=arrival.connection,
            message=message,
            body_bytes=body_bytes,
        )


def _accepts(fault: Deciding) -> bool:
    return not isinstance(fault, ItemErrors | RefuseContact | RefuseCampaign | Capacity) and fault.accept


def _answer_to(fault: Deciding, positions: Sequence[int], *, request_id: int, now: float) -> Answer:
    """Return a fault's answer. `ItemErrors` is handled by the caller."""
    match fault:
        case AnswerStatus():
            return _status(fault, now=now)
        case RefuseContact():
            who = ", ".join(f"contacts[{position}]" for position in positions[:10])
            return replies.with_message(fault.status, f"{who} {fault.message}")
        case RefuseCampaign() | Capacity():
            return replies.with_message(fault.status, fault.message)
        case Unreadable():
            return Reply(status=fault.status, body=b"<html><body>OK</body></html>")
        case HalfBody() | HalfHead():
            reply = (
                replies.accepted(request_id)
                if fault.status < HTTPStatus.MULTIPLE_CHOICES
                else replies.with_message(fault.status, "spoilt")
            )
            return Spoilt(how=SPOILINGS[type(fault)], reply=replace(reply, status=fault.status))
        case Hang() | Reset() | Close() | Garbage():
            return Spoilt(how=SPOILINGS[type(fault)], reply=replies.accepted(request_id))
        case ItemErrors():
            raise AssertionError("item errors depend on the contacts")
        case _:
            assert_never(fault)


def _status(fault: AnswerStatus, *, now: float) -> Reply:
    headers = dict(fault.headers)
    if fault.retry_after_seconds is not None:
        if fault.retry_after_form == "date":
            # A date has whole seconds; it is rounded up, so that a client that obeys never comes too early.
            headers["Retry-After"] = formatdate(math.ceil(now + fault.retry_after_seconds), usegmt=True)
        else:
            headers["Retry-After"] = f"{fault.retry_after_seconds:g}"
    if fault.status < HTTPStatus.BAD_REQUEST or fault.location is not None:
        headers.setdefault("Location", fault.location or "/v2/sms/send/elsewhere")
    return replies.with_message(fault.status, fault.message or replies.phrase(fault.status), headers=headers)


def _item_errors(fault: ItemErrors, contacts: list[RequestedContact]) -> list[dict[str, object]]:
    if fault.named_by == "nobody":
        return [{"message": fault.message}]
    return [_names(contact, fault.named_by) | {"message": fault.message} for contact in contacts]


def _names(contact: RequestedContact, named_by: str) -> dict[str, object]:
    """Return the fields of a contact that an error item has; `everything` is all but the custom fields."""
    every: dict[str, object] = {
        "customData": contact.custom_data,
        "phoneE164": contact.phone_e164,
        "phoneNumber": contact.phone_number,
        "countryCode": contact.country_code,
        "externalCode": contact.external_code,
    }
    wanted = {
        "customData": ("customData",),
        "phone": ("phoneE164", "phoneNumber", "countryCode"),
        "code": ("externalCode",),
    }.get(named_by, tuple(every))
    return {field: every[field] for field in wanted if every[field] is not UNSET and every[field] is not None}

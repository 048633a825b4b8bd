"""Stores every request and every accepted contact, compact enough for millions. Never judges and never answers.

A request's body is kept compressed; its contacts are parsed again when they are asked for. Memory holds one short entry a
request, a tenth of the received bytes, and each person's name.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import cramjam
import msgspec
from msgspec import UNSET

from consumer.sandbox.facts import (
    AcceptedContact,
    CampaignSummary,
    Options,
    RepeatedReference,
    RepeatedTexts,
    RequestSeen,
    Summary,
)
from consumer.sandbox.people import PeopleOfThePlatform, Person
from consumer.sandbox.wire import RequestReader, SendRequest


class _Contacts(msgspec.Struct, frozen=True):
    """The contacts of a body, unparsed."""

    contacts: list[msgspec.Raw]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Accepted:
    """What is kept of a request some of whose contacts were accepted."""

    seen: RequestSeen
    body: bytes
    """Compressed."""
    left_out: frozenset[int]
    """Positions that were not texted."""


class Records:
    """All requests since the start or the last reset, in the order in which they were judged."""

    def __init__(self, *, reader: RequestReader, directory: PeopleOfThePlatform) -> None:
        self._reader = reader
        self._directory = directory
        self._raw = msgspec.json.Decoder(_Contacts)
        self._last_request_id = 0
        self.requests: list[RequestSeen] = []
        self._accepted: list[_Accepted] = []
        self._total = Summary()
        self._change: asyncio.Event | None = None

    def forget(self) -> None:
        """Forget everything but requests in flight. Request IDs go on, so that each stays unique."""
        self.requests = []
        self._accepted = []
        in_flight = {campaign: old.in_flight for campaign, old in self._total.campaigns.items() if old.in_flight}
        self._total = Summary(in_flight=self._total.in_flight, max_in_flight=self._total.in_flight)
        for campaign, count in in_flight.items():
            self._total.campaigns[campaign] = CampaignSummary(in_flight=count, max_in_flight=count)

    # --- what comes in ------------------------------------------------------------------------------------------------

    def arrive(self) -> None:
        """Count a request whose head has come."""
        self._total.in_flight += 1
        self._total.max_in_flight = max(self._total.max_in_flight, self._total.in_flight)
        self._changed()

    def next_request_id(self) -> int:
        """Return a new request ID."""
        self._last_request_id += 1
        return self._last_request_id

    def judge(self, seen: RequestSeen) -> None:
        """Record what was decided about a request whose body has come."""
        self.requests.append(seen)
        total = self._total
        total.by_outcome[seen.outcome] = total.by_outcome.get(seen.outcome, 0) + 1
        _add(total, seen)
        if seen.campaign_id is not None:
            campaign = self._campaign(seen.campaign_id)
            _add(campaign, seen)
            campaign.in_flight += 1
            campaign.max_in_flight = max(campaign.max_in_flight, campaign.in_flight)
        self._changed()

    def keep(self, seen: RequestSeen, *, body: bytes, left_out: frozenset[int]) -> None:
        """Keep the accepted contacts of a judged request: all in `body` but those at `left_out`."""
        self._accepted.append(_Accepted(seen=seen, body=bytes(cramjam.lz4.compress_block(body)), left_out=left_out))
        if self._total.first_accepted_at is None:
            self._total.first_accepted_at = seen.received_at
        self._total.last_accepted_at = seen.received_at

    def end(self, seen: RequestSeen | None, *, status: int | None, now: float) -> None:
        """Record a request's end. `status` is None if no complete head went out; `seen` is None if it was never judged."""
        self._total.in_flight -= 1
        self._changed()
        if seen is None:
            return
        seen.ended_at = now
        seen.status = status
        text = "none" if status is None else str(status)
        self._total.by_status[text] = self._total.by_status.get(text, 0) + 1
        if seen.campaign_id is not None:
            campaign = self._campaign(seen.campaign_id)
            campaign.in_flight -= 1
            campaign.by_status[text] = campaign.by_status.get(text, 0) + 1

    def in_flight(self, campaign_id: int | None) -> int:
        """Return how many requests are judged and not at their end, of one campaign or of all."""
        campaigns = self._total.campaigns
        if campaign_id is None:
            return sum(campaign.in_flight for campaign in campaigns.values())
        found = campaigns.get(str(campaign_id))
        return 0 if found is None else found.in_flight

    def next_change(self) -> asyncio.Event:
        """Return an event that is set when the counts change; it is made only while somebody waits."""
        if self._change is None:
            self._change = asyncio.Event()
        return self._change

    def _changed(self) -> None:
        if self._change is not None:
            self._change.set()
            self._change = None

    def _campaign(self, campaign_id: int) -> CampaignSummary:
        found = self._total.campaigns.get(str(campaign_id))
        if found is None:
            found = self._total.campaigns[str(campaign_id)] = CampaignSummary()
        return found

    # --- questions ----------------------------------------------------------------------------------------------------

    def summary(self) -> Summary:
        """Return the present counts; cheap, however much was recorded."""
        self._total.distinct_persons = len(self._directory.texted)
        return self._total

    def accepted_contacts(
        self,
        *,
        campaign_id: int | None = None,
        person: Person | None = None,
        reference: str | None = None,
        after_request_id: int = 0,
    ) -> Iterator[list[AcceptedContact]]:
        """Yield the accepted contacts that match, one list a request; later requests are left out."""
        accepted = self._accepted
        for index in range(len(accepted)):
            entry = accepted[index]
            if entry.seen.request_id <= after_request_id or campaign_id not in {None, entry.seen.campaign_id}:
                continue
            yield [
                contact
                for contact in self._contacts(entry)
                if person in {None, contact.person} and reference in {None, contact.reference}
            ]

    def _contacts(self, entry: _Accepted) -> Iterator[AcceptedContact]:
        body = bytes(cramjam.lz4.decompress_block(entry.body))
        request = self._reader.again(body)
        options = _options(request)
        persons = self._directory.persons(request.contacts)
        raw = self._raw.decode(body).contacts
        for position, contact in enumerate(request.contacts):
            if position not in entry.left_out:
                yield AcceptedContact(
                    campaign_id=request.campaign_id,
                    person=persons[position],
                    reference=contact.custom_data or None,
                    accepted_at=entry.seen.received_at,
                    first_byte_at=entry.seen.first_byte_at,
                    request_id=entry.seen.request_id,
                    position=position,
                    options=options,
                    contact=raw[position],
                )


class RepeatCounter:
    """Counts who was texted how often, request by request, so that a query never blocks the sandbox for long."""

    def __init__(self) -> None:
        self._accepted = 0
        self._without_reference = 0
        self._persons: set[tuple[int, Person]] = set()
        self._first: dict[tuple[int, str], tuple[float, int]] = {}
        self._repeats: dict[tuple[int, str], list[tuple[float, int]]] = {}

    def count(self, contacts: list[AcceptedContact]) -> None:
        """Count the accepted contacts of one request."""
        for contact in contacts:
            self._accepted += 1
            self._persons.add((contact.campaign_id, contact.person))
            if contact.reference is None:
                self._without_reference += 1
                continue
            key = (contact.campaign_id, contact.reference)
            this = (contact.accepted_at, contact.request_id)
            first = self._first.setdefault(key, this)
            if first is not this:
                self._repeats.setdefault(key, [first]).append(this)

    def result(self) -> RepeatedTexts:
        """Return what was counted so far."""
        return RepeatedTexts(
            accepted=self._accepted,
            distinct_persons=len(self._persons),
            distinct_references=len(self._first) + self._without_reference,
            repeats=[
                RepeatedReference(
                    campaign_id=campaign_id,
                    reference=reference,
                    accepted_at=[accepted_at for accepted_at, _ in times],
                    request_ids=[request_id for _, request_id in times],
                )
                for (campaign_id, reference), times in self._repeats.items()
            ],
        )


def _add(summary: CampaignSummary, seen: RequestSeen) -> None:
    summary.requests += 1
    summary.contacts += seen.contacts
    summary.accepted += seen.accepted
    summary.created += seen.created
    summary.duplicates += seen.duplicates
    summary.disabled += seen.disabled
    summary.refused += seen.refused


def _options(request: SendRequest) -> Options:
    return Options(
        schedule_at=None if request.schedule_at is UNSET else request.schedule_at,
        flash=request.flash,
        charset=request.charset,
        send_type_override=request.send_type_override,
        origin_data=None if request.origin_data is UNSET else request.origin_data,
    )

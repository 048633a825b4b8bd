"""Makes realistic traffic, the same for the same seed. Never reads a clock, never publishes.

The stream has what upstream services send: urgent one-time passwords, shipping notices, appointment reminders, and one bulk
campaign. Some persons get two messages of one campaign, with differently spelled phones. Some events are published twice,
and some records are no valid events.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import accumulate
from random import Random

import orjson

from consumer.traffic.people import LAST_PERSON, Contact, Person, spelled_plainly, spelled_somehow
from consumer.traffic.record import GeneratedRecord, Headers, RecordKind, traceparent
from consumer.traffic.templates import CAMPAIGNS, ONE_TIME_PASSWORD_LIFE_SECONDS, Campaigns, Fields, Template

INVALID_SHARE = 0.008
REPEATED_SHARE = 0.008
SAME_PERSON_SHARE = 0.02
"""The share of events outside the bulk campaign that are for a person who has just had one of the same campaign."""
ODD_SPELLING_SHARE = 0.25
FLASH_SHARE = 0.03
ORIGIN_SHARE = 0.05
SCHEDULED_SHARE = 0.05
REMEMBERED_EVENTS = 400
"""A repeat, or a second event for one person, takes one of so many latest events."""
PEOPLE_PER_EVENT = 20
"""So many people for each event that a person rarely occurs twice by accident."""
SCHEDULE_STEP_SECONDS = 900.0
PRODUCED_BY: Headers = (("produced-by", b"campaign-consumer produce"),)


def generate(
    *,
    count: int,
    seed: int,
    now: float,
    campaigns: Campaigns = CAMPAIGNS,
    per_second: float | None = None,
) -> Iterator[GeneratedRecord]:
    """Yield `count` records. The first occurs at `now` (Unix seconds), the others follow at `per_second`.

    Without `per_second` all of them occur at `now`. Keys are customer IDs, so one person's events keep their
    order in their partition. The same arguments give the same bytes.
    """
    stream = _Stream(
        rng=Random(seed),
        campaigns=campaigns,
        people=min(LAST_PERSON, max(1_000, PEOPLE_PER_EVENT * count)),
    )
    step_seconds = 0.0 if per_second is None else 1.0 / per_second
    for index in range(count):
        yield stream.record(now + index * step_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remembered:
    """A valid event that was made recently."""

    campaign_id: int
    person: Person
    record: GeneratedRecord


@dataclass(slots=True, kw_only=True)
class _Stream:
    """The generator's state."""

    rng: Random
    campaigns: Campaigns
    people: int
    recent: deque[_Remembered] = field(default_factory=lambda: deque(maxlen=REMEMBERED_EVENTS))
    bulk_sent: int = 0
    invalid_sent: int = 0
    ids: list[int] = field(init=False)
    shares: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.ids = list(self.campaigns)
        self.shares = list(accumulate(template.share for template in self.campaigns.values()))

    def record(self, occurred_at: float) -> GeneratedRecord:
        chance = self.rng.random()
        if chance < INVALID_SHARE:
            return self._invalid(occurred_at)
        if chance < INVALID_SHARE + REPEATED_SHARE and self.recent:
            again = self.rng.choice(self.recent).record
            return again._replace(kind=RecordKind.REPEATED, occurred_at=occurred_at)
        campaign_id = self.rng.choices(self.ids, cum_weights=self.shares)[0]
        template = self.campaigns[campaign_id]
        person, contact = self._addressee(campaign_id, template)
        event = self._event(campaign_id, template, contact, template.fields(person, self.rng), occurred_at)
        trace_id = int(str(event["eventId"]).replace("-", ""), 16)
        record = GeneratedRecord(
            key=person.customer_id.encode(),
            value=orjson.dumps(event),
            headers=(traceparent(trace_id), *PRODUCED_BY),
            kind=template.kind,
            occurred_at=occurred_at,
        )
        self.recent.append(_Remembered(campaign_id=campaign_id, person=person, record=record))
        return record

    def _addressee(self, campaign_id: int, template: Template) -> tuple[Person, Contact]:
        if template.kind is RecordKind.BULK:
            self.bulk_sent += 1
            return (person := Person(self.bulk_sent % self.people)), spelled_plainly(person)
        if self.rng.random() < SAME_PERSON_SHARE:
            known = [event.person for event in self.recent if event.campaign_id == campaign_id]
            if known:
                return (person := self.rng.choice(known)), spelled_somehow(person, self.rng)
        person = Person(self.rng.randrange(self.people))
        if self.rng.random() < ODD_SPELLING_SHARE:
            return person, spelled_somehow(person, self.rng)
        return person, spelled_plainly(person)

    def _event(
        self, campaign_id: int, template: Template, contact: Contact, fields: Fields, occurred_at: float
    ) -> dict[str, object]:
        event_id = event_id_at(occurred_at, self.rng)
        event: dict[str, object] = {
            "eventId": event_id,
            "eventType": template.event_type,
            "occurredAt": rfc3339(occurred_at),
            "campaignId": campaign_id,
            "contact": contact
            | {"customFields": fields, "externalReference": f"{template.event_type}-{event_id[-12:]}"},
        }
        if template.kind is RecordKind.ONE_TIME_PASSWORD:
            event["priority"] = "immediate"
            event["expiresAt"] = rfc3339(occurred_at + ONE_TIME_PASSWORD_LIFE_SECONDS)
        options = self._options(template.kind, occurred_at)
        if options:
            event["send"] = options
        return event

    def _options(self, kind: RecordKind, occurred_at: float) -> dict[str, object]:
        chance = self.rng.random()
        if kind is RecordKind.ONE_TIME_PASSWORD and chance < FLASH_SHARE:
            return {"flash": True}
        if kind is RecordKind.SHIPPING_NOTICE and chance < ORIGIN_SHARE:
            return {"originData": {"warehouse": self.rng.choice(("BCN", "MAD"))}}
        if kind is RecordKind.APPOINTMENT_REMINDER and chance < SCHEDULED_SHARE:
            steps = occurred_at // SCHEDULE_STEP_SECONDS + self.rng.randint(5, 8)
            return {"scheduledAt": rfc3339(steps * SCHEDULE_STEP_SECONDS)}
        return {}

    def _invalid(self, occurred_at: float) -> GeneratedRecord:
        kind, spoil = INVALID[self.invalid_sent % len(INVALID)]
        self.invalid_sent += 1
        person = Person(self.rng.randrange(self.people))
        campaign_id, template = next(iter(self.campaigns.items()))
        event = self._event(
            campaign_id, template, spelled_plainly(person), template.fields(person, self.rng), occurred_at
        )
        return GeneratedRecord(
            key=person.customer_id.encode(), value=spoil(event), headers=PRODUCED_BY, kind=kind, occurred_at=occurred_at
        )


Spoiler = Callable[[dict[str, object]], bytes | None]

INVALID: tuple[tuple[RecordKind, Spoiler], ...] = (
    (RecordKind.INVALID_NOT_JSON, lambda event: orjson.dumps(event)[:-7]),
    (
        RecordKind.INVALID_NOT_UTF8,
        lambda event: orjson.dumps(event | {"eventType": "order."}).replace(b"order.", b"order.\xff"),
    ),
    (RecordKind.INVALID_NOT_AN_OBJECT, lambda event: orjson.dumps([event])),
    (RecordKind.INVALID_SCHEMA, lambda event: orjson.dumps(event | {"campaignId": str(event["campaignId"])})),
    (RecordKind.INVALID_TOMBSTONE, lambda _event: None),
    (RecordKind.INVALID_SCHEMA, lambda event: orjson.dumps({name: event[name] for name in event if name != "contact"})),
    (RecordKind.INVALID_SCHEMA, lambda event: orjson.dumps(event | {"occurredAt": "yesterday"})),
)
"""Used in turn, so that even a short stream has every reason."""


def event_id_at(occurred_at: float, rng: Random) -> str:
    """Return a UUID of version 7: it begins with the instant, so that IDs sort by time, and ends with random bits."""
    milliseconds = int(occurred_at * 1_000) & (1 << 48) - 1
    bits = milliseconds << 80 | 0x7 << 76 | rng.getrandbits(12) << 64 | 0b10 << 62 | rng.getrandbits(62)
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def rfc3339(instant: float) -> str:
    """Return an instant (Unix seconds) in RFC 3339: UTC, with milliseconds."""
    return datetime.fromtimestamp(instant, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

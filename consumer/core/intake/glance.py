"""What has to be known of a record to leave it where it is until there is room: whose it is, and what may not overtake it.

Measured on a record of 350 bytes: a glance takes a sixth of what decoding and admitting it costs; the search for the one
word `immediate` alone would take nearly as long, and say less. What is not plainly an event is decoded as a whole.
"""

from collections.abc import Callable, Sequence
from typing import Final, cast

import msgspec

from consumer.core.event import Event, Identity, Record
from consumer.core.intake.decode import Decoder
from consumer.core.journal.parked_range import NOBODYS, WORD, Glance, word_of
from consumer.core.people import PEOPLE, person_in
from consumer.core.person import TELLING, UNSURE_OPENINGS, person_of, person_of_e164
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Partition
from schemas.instants import instant_of

_instant_of = cast("Callable[[str], Instant]", instant_of)


class _Contact(msgspec.Struct, gc=False, rename="camel"):
    phone_e164: str | None = msgspec.field(default=None, name="phoneE164")
    phone_number: str | None = None
    country_code: str | None = None
    external_code: str | None = None


class _Event(msgspec.Struct, gc=False, rename="camel"):
    event_id: str
    campaign_id: int
    contact: _Contact
    occurred_at: str
    expires_at: str | None = None
    priority: str | None = None


_PLAIN_PHONE: Final = f"{PEOPLE[Identity.E164]} "

_event_of: Final = msgspec.json.Decoder(_Event).decode
_NOT_ORDINARY: Final = (msgspec.MsgspecError, ValueError)


class Glances:
    """Glances at records under the operator's policies."""

    def __init__(self, policies: Policies, decoder: Decoder) -> None:
        self._policies = policies
        self._decoder = decoder
        self._some_expire = any(
            policy.expires_after_seconds is not None for policy in (policies.default, *policies.campaigns.values())
        )

    def at(self, partition: Partition, records: Sequence[Record], now: Now) -> list[Glance]:
        """Glance at the records of a batch, in its order."""
        glances: list[Glance] = []
        append, says_nothing = glances.append, self._decoder.says_nothing
        is_urgent = partition.topic in self._policies.urgent_topics
        for record in records:
            value, headers = record.value, record.headers
            if value and (not headers or says_nothing(headers)):
                try:
                    fields = _event_of(value)
                    campaign_id, phone, priority = fields.campaign_id, fields.contact.phone_e164, fields.priority
                    # nothing but digits, and to be read in one way: no call for these
                    if phone and phone.rstrip("0123456789") == "+" and phone[:5] not in UNSURE_OPENINGS:
                        person = _PLAIN_PHONE + phone[TELLING]
                    else:
                        person = _person(fields.contact)
                    words = hash(fields.event_id) & WORD, hash((campaign_id, person)) & WORD  # word_of, without a call
                    immediate = is_urgent if priority is None else priority == "immediate"
                    expires_at = self._expires_at(fields) if self._some_expire or fields.expires_at else None
                    append(Glance(campaign_id, immediate, words, expires_at))
                except _NOT_ORDINARY:
                    append(self._decoded(partition, record, now))
            else:
                append(self._decoded(partition, record, now))
        return glances

    def _expires_at(self, fields: _Event) -> Instant | None:
        if fields.expires_at is not None:
            return _instant_of(fields.expires_at)
        after_seconds = self._policies.of(fields.campaign_id).expires_after_seconds
        return None if after_seconds is None else Instant(_instant_of(fields.occurred_at) + after_seconds)

    def _decoded(self, partition: Partition, record: Record, now: Now) -> Glance:
        (decoded,) = self._decoder.batch(partition, [record], now)
        if type(decoded) is not Event:
            return Glance(NOBODYS, immediate=False, words=(), expires_at=None)
        return glance_of(decoded)


def glance_of(event: Event) -> Glance:
    """Return what a glance at an event's record finds; one that somebody made urgent may be so by itself or not."""
    campaign_id = event.group.campaign_id
    words = word_of(event.event_id), word_of((campaign_id, person_in(event.person)))
    return Glance(campaign_id, event.immediate, words, event.expires_at)


def _person(contact: _Contact) -> str:
    if contact.phone_e164 is not None:
        kind, person = person_of_e164(contact.phone_e164)
    elif contact.phone_number is None and contact.external_code is None:
        raise ValueError
    else:
        kind, person = person_of(
            phone_e164=None,
            phone_number=contact.phone_number,
            country_code=contact.country_code,
            external_code=contact.external_code,
        )
    return f"{PEOPLE[kind]} {person}"

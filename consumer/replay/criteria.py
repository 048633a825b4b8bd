"""Which events a resend is about, apart from where they stand: what was asked for, as a value that can be asked.

Knows people by comparison alone, and event IDs by 64 bits of a hash.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson
from xxhash import xxh3_64_intdigest

from consumer.core.event import Event, Invalid
from consumer.core.people import People, people_of, person_in, person_of_code
from consumer.core.policy import WireNames

DEFAULT_STATUSES: Final = ("failed", "rejected", "expired", "cancelled")


def hash_of(text: str) -> int:
    """Return 64 bits of an event ID, or of a person."""
    return xxh3_64_intdigest(text.encode())


NOBODY: Final = People(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """An event has to meet all of these; what is empty asks for nothing."""

    campaigns: frozenset[int] = frozenset()
    event_types: frozenset[str] = frozenset()
    events: frozenset[int] = frozenset()
    """Event IDs, as `hash_of` them."""
    contacts: People = NOBODY
    excluded_events: frozenset[int] = frozenset()
    excluded_people: People = NOBODY
    statuses: frozenset[str] = frozenset(DEFAULT_STATUSES)
    """What may have become of an event that is sent again; accepted and in doubt only where they are named."""
    invalid: bool = False
    """Whether records that were invalid, and are valid by now, are sent again."""
    field_names: WireNames = field(default_factory=WireNames)

    def select(self, event: Event | Invalid, event_hash: int) -> bool:
        """Whether an event meets them."""
        if self.campaigns and _campaign_of(event) not in self.campaigns:
            return False
        if self.event_types and event.event_type not in self.event_types:
            return False
        if self.events and (event.event_id is None or event_hash not in self.events):
            return False
        return not self.contacts or self._is_among(self.contacts, event)

    def exclude(self, event: Event | Invalid, event_hash: int) -> bool:
        """Whether an event is left out because somebody said so."""
        if event.event_id is not None and event_hash in self.excluded_events:
            return True
        return bool(self.excluded_people) and self._is_among(self.excluded_people, event)

    @property
    def select_all(self) -> bool:
        """Whether every event meets them."""
        return not (self.campaigns or self.event_types or self.events or self.contacts)

    @property
    def exclude_none(self) -> bool:
        """Whether nobody is left out."""
        return not (self.excluded_events or self.excluded_people)

    def names_of(self, event: Event | Invalid, event_hash: int) -> Iterator[int]:
        """Yield, as hashes, what a line of a list may name an event by."""
        yield event_hash
        if isinstance(event, Event):
            yield hash_of(person_in(event.person))
            code: str | None = orjson.loads(event.contact).get(self.field_names.external_code)
            if code is not None:
                yield hash_of(person_of_code(code))

    def _is_among(self, people: People, event: Event | Invalid) -> bool:
        if isinstance(event, Invalid):
            return False
        code: str | None = orjson.loads(event.contact).get(self.field_names.external_code)
        return people.has(person_in(event.person), code)


def names_in(text: str) -> Iterator[int]:
    """Yield, as hashes, what a line of a list may stand for: an event ID, a code, a phone."""
    yield hash_of(text)
    yield from map(hash_of, people_of(text))


def _campaign_of(event: Event | Invalid) -> int | None:
    return event.campaign_id if isinstance(event, Invalid) else event.group.campaign_id

"""The promises, watched at every step and held against the end. Shares no code with the core: it reads raw bytes.

Told what goes out, what is committed and what is published; it looks at the logs by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

Place = tuple[int, int]
"""Partition number and offset of a record."""


class Violation(AssertionError):  # noqa: N818  # what it is called everywhere else
    """A promise was broken."""


def insist(holds: object, *what: object) -> None:
    """Complain where a promise does not hold."""
    if not holds:
        raise Violation(*what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The part of a record that promises speak of."""

    event_id: str
    campaign_id: int
    options: str
    person: str
    expires_at: float | None


@dataclass(eq=False)
class Judge:
    """Holds a world to the promises."""

    hold: bool
    """Whether nobody may be texted twice at all."""
    documents: dict[Place, Document] = field(default_factory=dict)
    journals: dict[int, list[bytes]] = field(default_factory=dict)
    published: dict[Place, set[tuple[object, ...]]] = field(default_factory=dict)
    texts: dict[Place, int] = field(default_factory=dict)
    started: dict[tuple[int, int, str], int] = field(default_factory=dict)
    """The furthest record of each person and campaign that a request has started for."""
    starts: int = 0

    def recorded(self, place: Place, value: bytes) -> None:
        """A record stands in the events topic."""
        fields = orjson.loads(value)
        expiry = fields.get("expiresAt")
        self.documents[place] = Document(
            event_id=fields["eventId"],
            campaign_id=fields["campaignId"],
            options=str(fields.get("send")),
            person=fields["contact"]["phoneE164"],
            expires_at=None if expiry is None else datetime.fromisoformat(expiry).timestamp(),
        )

    # ---------------------------------------------------------------- at every step

    def request_started(self, process: str, places: Sequence[Place], wall: float) -> None:
        """A request's first byte goes out; `wall` is the sender's own clock."""
        self.starts += 1
        members = [self.documents[place] for place in places]
        persons = [member.person for member in members]
        insist(len(set(persons)) == len(persons), "a person stands twice in one request", places)
        groups = {(member.campaign_id, member.options) for member in members}
        insist(len(groups) == 1, "two groups share a request", places)
        for place, member in zip(places, members, strict=True):
            late = member.expires_at is not None and wall >= member.expires_at
            insist(not late, "a request starts at or after a member's deadline", place)
            key = (place[0], member.campaign_id, member.person)
            if self._owner(place[0]) == process:  # a zombie's last second is marked, not ordered
                insist(self.started.get(key, -1) <= place[1], "a person's messages change their order", place)
            self.started[key] = max(self.started.get(key, -1), place[1])

    def _owner(self, partition: int) -> str | None:
        for value in reversed(self.journals[partition]):
            if value.find(b'"kind":"claim"', 0, 64) >= 0:
                process: str = orjson.loads(value)["process"]
                return process
        return None

    def texted(self, place: Place) -> None:
        """A message reached its person."""
        self.texts[place] = self.texts.get(place, 0) + 1
        insist(not self.hold or self.texts[place] == 1, "a message was repeated although the policy is to hold", place)

    def result_published(self, place: Place, *content: object) -> None:
        """A result is in the results topic."""
        contents = self.published.setdefault(place, set())
        contents.add(content)
        insist(len(contents) == 1, "a record has two results", place, contents)

    def committed(self, partition: int, offset: int) -> None:
        """The group's offset was committed by a member."""
        for place in self.documents:
            if place[0] == partition and place[1] < offset:
                insist(place in self.published, "a commit passes a record without result", place, offset)

    def held(self, events: int, *, bound: int) -> None:
        """A process holds so many events."""
        insist(events <= bound, "the buffer holds more than it may", events, bound)

    # ---------------------------------------------------------------- at the end

    def everything_is_settled(self) -> bool:
        """Return whether every record has its result."""
        return self.documents.keys() <= self.published.keys()

    def final(self) -> None:
        """Hold the whole world against the promises."""
        insist(self.everything_is_settled(), "records without result")
        sent: dict[tuple[int, str], Place] = {}
        for place, member in self.documents.items():
            ((status, marked, _), *_) = self.published[place]
            count = self.texts.get(place, 0)
            if status == "accepted":
                insist(count >= 1, "accepted, and never texted", place)
                insist(count == 1 or marked, "texted more than once, and not marked", place, count)
            elif status != "in_doubt":
                insist(count == 0, f"{status}, and was texted", place)
            if count:
                identity = (place[0], member.event_id)
                insist(identity not in sent, "two records of one event ID were texted", place, sent.get(identity))
                sent[identity] = place
        for partition, log in self.journals.items():
            self._one_outcome_each(partition, log)

    def _one_outcome_each(self, partition: int, log: Sequence[bytes]) -> None:
        counted: dict[int, int] = {}
        for at, value in enumerate(log):
            entry: dict[str, Any] = orjson.loads(value)
            if entry["kind"] != "outcome" or entry["at"] != at:
                continue
            for item in entry["settled"]:
                offset = 0
                for step in item["offsets"]:
                    offset += step
                    insist(offset not in counted, "a record has two outcomes", (partition, offset), counted.get(offset))
                    counted[offset] = at
        records = {offset for number, offset in self.documents if number == partition}
        insist(records == counted.keys(), "outcomes and records differ", partition)

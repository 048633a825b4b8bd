"""A made-up world of records and outcomes, and a slow, plain model of what a plan must say of it. Borrows no code."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

TOPIC = "contact-events"
NOW = 1_795_534_800.0
SOON, LATE = "2026-11-24T17:00:00Z", "2099-01-01T00:00:00Z"
PAST = "2020-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """A record, and what became of it."""

    partition: int
    offset: int
    event: int
    """Its event ID; records of one event may still differ in everything else."""
    campaign: int = 1
    person: int = 1
    expires_at: str | None = None
    resend: str | None = None
    valid: bool = True
    in_range: bool = True
    """Else it stands behind the range."""
    skipped: bool = False
    status: str | None = None
    known_by: str = "result"
    """Or journal, where the result is gone."""
    timestamp: int = 0
    key: bytes | None = b"key"

    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]:
        return () if self.resend is None else (("resend-id", self.resend.encode()),)

    @property
    def value(self) -> bytes:
        if not self.valid:
            return b"{}"
        document = {
            "eventId": f"e-{self.event}",
            "eventType": "order.shipped",
            "occurredAt": PAST,
            "campaignId": self.campaign,
            "contact": {"phoneE164": f"+34600000{self.person:03d}"},
            "expiresAt": self.expires_at,
        }
        return orjson.dumps(document)

    @property
    def result(self) -> bytes:
        source = {"topic": TOPIC, "partition": self.partition, "offset": self.offset}
        event_id = f"e-{self.event}" if self.valid else None
        return orjson.dumps(
            {"status": self.status, "eventId": event_id, "resendId": self.resend, "source": source, "attempts": 1}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for."""

    statuses: frozenset[str]
    campaigns: frozenset[int] = frozenset()
    excluded_events: frozenset[int] = frozenset()
    excluded_people: frozenset[int] = frozenset()
    extend: bool = False


Place = tuple[int, int]


@dataclass(slots=True)
class Expected:
    """What a plan must say."""

    fates: dict[Place, str] = field(default_factory=dict)
    extended: set[Place] = field(default_factory=set)
    after: set[str] = field(default_factory=set)
    counts: dict[int | None, dict[str, int]] = field(default_factory=dict)
    people: int = 0
    second_texts: int = 0


def expected(world: Sequence[Stood], wanted: Wanted) -> Expected:
    """Go through the world event by event."""
    found = Expected()
    selected = [
        one
        for one in world
        if one.in_range and (not wanted.campaigns or (one.valid and one.campaign in wanted.campaigns))
    ]
    for one in selected:
        if not one.valid:
            found.fates[one.partition, one.offset] = "invalid"
    texted: dict[tuple[int, int], int] = defaultdict(int)
    would: dict[tuple[int, int], int] = defaultdict(int)
    for event in {one.event for one in selected if one.valid}:
        mine = [one for one in selected if one.event == event and one.valid]
        known = _known(world, event, mine)
        status = _status(known)
        fate = _fate(mine, known, status, wanted)
        first, *others = mine
        if fate is None:
            continue
        found.fates[first.partition, first.offset] = fate
        found.fates |= {(one.partition, one.offset): "repeated" for one in others}
        person = (first.campaign, first.person)
        texted[person] += status == "accepted" and fate != "repeated"
        if fate == "would_send":
            would[person] += 1
            found.after |= {one.resend for one in known if one.resend is not None}
            if wanted.extend and first.expires_at in {PAST, SOON}:
                found.extended.add((first.partition, first.offset))
    second = {one for one, texts in would.items() if texts + texted[one] > 1}
    found.people, found.second_texts = len({person for _, person in would}), len({person for _, person in second})
    _count(found, selected, would, second)
    return found


def _known(world: Sequence[Stood], event: int, mine: Iterable[Stood]) -> list[Stood]:
    """All records that say something of an event: the selected ones, resends behind the range, and other results."""
    others = [
        one
        for one in world
        if one.event == event
        and one.valid
        and one not in mine
        and ((not one.in_range and one.resend) or (one.status is not None and one.known_by == "result"))
    ]
    rows = [one for one in others if not one.in_range and one.resend]
    strays = [one for one in others if one not in rows]
    return [*mine, *rows, *strays]


def _status(known: Sequence[Stood]) -> str | None:
    statuses = [one.status for one in known if one.status is not None]
    for strong in ("accepted", "in_doubt"):
        if strong in statuses:
            return strong
    telling = [status for status in statuses if status != "duplicate"]
    return telling[-1] if telling else ("duplicate" if statuses else None)


def _fate(mine: Sequence[Stood], known: Sequence[Stood], status: str | None, wanted: Wanted) -> str | None:
    pending = any(one.status is None and not one.skipped for one in known)
    first = mine[0]
    if status == "invalid":
        return "invalid"
    if status == "duplicate" and not pending:
        return "repeated"
    if status == "accepted" and "accepted" not in wanted.statuses:
        fate = "already_accepted"
    elif pending:
        fate = "unsettled"
    elif status == "in_doubt" and "in_doubt" not in wanted.statuses:
        fate = "in_doubt"
    elif status is not None and status not in wanted.statuses:
        return None
    else:
        late = first.expires_at == PAST and not wanted.extend
        fate = "expired" if late else "would_send"
    left_out = first.event in wanted.excluded_events or any(one.person in wanted.excluded_people for one in mine)
    return "excluded" if left_out else fate


def _count(
    found: Expected, selected: Sequence[Stood], would: dict[tuple[int, int], int], second: set[tuple[int, int]]
) -> None:
    for one in selected:
        fate = found.fates.get((one.partition, one.offset))
        if fate is not None:
            campaign = one.campaign if one.valid else None
            counts: dict[str, Any] = found.counts.setdefault(campaign, defaultdict(int))
            counts[fate] += 1
            counts["selected"] += 1
    for campaign, _ in would:
        found.counts[campaign]["people"] += 1
    for campaign, _ in second:
        found.counts[campaign]["second_texts"] += 1

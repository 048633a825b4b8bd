"""What a seed stands for: settings, traffic and blows, as values that can be taken apart. Runs nothing."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Literal

import orjson

from tests.simulation.blows import Blow, Kind
from tests.simulation.faults import Chances, Stroke
from tests.simulation.styles import POLICIES, has_urgent_topic, style_of

EPOCH = 1_790_000_000.0
TOPIC, URGENT_TOPIC = "events", "urgent"
OUR_GROUP, OTHER_GROUP = "g", "x"

Mood = Literal[
    "denied",  # 401, 402, 403, 407 or a redirect: the key may not send it
    "unknown",  # 404
    "slowed",  # 429 with a pause
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One record of the events topic, and what is true of it, whatever its bytes say."""

    at: float
    partition: int
    value: bytes | None
    reference: str
    """What the platform is told as the contact's reference: names this record and no other."""
    identity: str
    """Equal for records that repeat one another."""
    campaign: int = 0
    options: str = ""
    person: str = ""
    spelling: str = ""
    """How the person is written: what cannot be compared with certainty differs in it."""
    expires_at: float | None = None
    valid: bool = True
    resend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that a run depends on."""

    seed: int
    style: str
    hold: frozenset[int]
    """The campaigns that hold what is unknown; the others resend."""
    processes: int
    partitions: int
    chances: Chances
    publications: tuple[Publication, ...]
    blows: tuple[Blow, ...]
    starts_at: tuple[int, ...]
    """Records of each partition that an earlier system had done when it committed, 0 where there was none."""
    window_seconds: float
    max_contacts: int
    buffer_events: int
    max_ahead: int
    concurrency: int
    max_attempts: int
    api_seconds: float
    journal_step: int
    """Entries that a take-over reads in its first step backwards: few, for it may read all of a short journal at once."""
    deduplication_seconds: float
    segment_ids: int
    """Event IDs in one segment of the journal at most: few, or history never leaves the tail."""
    tail_entries: int
    """Entries of the journal before a segment is written."""
    same_contact: tuple[str, str] = ("separate", "separate")
    """What campaigns 1 and 2 do with several events for one person."""
    read_ahead: bool = False
    """Whether what has no room is parked, a few records at a time."""
    moods: tuple[tuple[int, Mood], ...] = ()
    """What the platform thinks of some campaigns until all others have what they came for."""
    muted: frozenset[Stroke] = field(default=frozenset())
    urgent: frozenset[int] = frozenset()
    """The partitions of the urgent topic: numbers are unique among both topics."""

    def topic_of(self, number: int) -> str:
        """Return the topic that a partition belongs to."""
        return URGENT_TOPIC if number in self.urgent else TOPIC


def scenario_of(seed: int) -> Scenario:
    """Return what a seed stands for."""
    style, (chances, kinds, about) = style_of(seed)
    dice = Random(f"{seed} scenario")
    partitions = dice.choice((1, 2, 2)) + has_urgent_topic(seed)
    seconds = dice.choice((2.0, 5.0, 9.0))
    max_ahead = dice.choice((5, 100, 100, 100))
    api_seconds = dice.choice((2.0, 5.0, 40.0))
    window_seconds = dice.choice((0.0, 0.3, 1.0))
    moods = _moods(dice) if style == "campaigns" else ()
    campaigns = (1, 1, 2, *[campaign for campaign, _ in moods])
    is_backlog = style in ("parked", "parked again")
    publications = _traffic(
        dice, partitions, seconds, campaigns, refusals=max_ahead > SMALL and not is_backlog, backlog=is_backlog
    )
    busy_at = [one.at + window_seconds for one in publications]
    return Scenario(
        seed=seed,
        style=style,
        hold=frozenset(dice.choice(((), (1, 2), (1, 2), (2,)))),
        processes=dice.choice((1, 2, 2, 3)),
        partitions=partitions,
        chances=chances,
        publications=tuple(publications),
        blows=tuple(_blows(dice, kinds, about, seconds, busy_at)),
        starts_at=tuple(dice.choice((0, 0, 0, 2)) for _ in range(partitions)),
        window_seconds=window_seconds,
        max_contacts=dice.choice((1, 3, 4)),
        buffer_events=ALL_OF_THEM if moods else dice.choice((4, 8, 8 if is_backlog else 30)),
        max_ahead=ALL_OF_THEM if moods else max_ahead,
        concurrency=dice.choice((1, 3, 6)),
        max_attempts=9 if style == "silence" else dice.choice((1, 2, 4)),
        api_seconds=api_seconds,
        journal_step=dice.choice((1, 4, 512)),
        deduplication_seconds=dice.choice((A_SECOND, LONG, LONG)),
        same_contact=POLICIES[seed % len(POLICIES)] if style == "rivals" else ("separate", "separate"),
        read_ahead=is_backlog,
        moods=moods,
        segment_ids=dice.choice((2, 8, 8)),
        tail_entries=dice.choice((1, 4, 12)),
        urgent=frozenset({partitions - 1}) if has_urgent_topic(seed) else frozenset(),
    )


def _moods(dice: Random) -> tuple[tuple[int, Mood], ...]:
    """Let the platform refuse some campaigns, and slow others down."""
    moods: tuple[Mood, ...] = ("denied", "denied", "denied", "unknown", "slowed")
    return tuple((campaign, dice.choice(moods)) for campaign in range(3, 3 + dice.randint(1, 8)))


def _blows(dice: Random, kinds: tuple[Kind, ...], about: int, seconds: float, busy_at: list[float]) -> list[Blow]:
    """Let blows fall: half of them while a send is likely to be on its way."""
    blows = []
    for _ in range(dice.randint(about // 2, about + 1)):
        kind = dice.choice(kinds)
        amount: float
        match kind:
            case "crash":
                amount = dice.randint(0, 60)
            case "freeze" | "suspend" | "deaf":
                amount = dice.choice((0.7, 1.5, 4.0, 12.0))
            case "clock":
                amount = dice.choice((-30.0, -2.0, 2.0, 30.0))
            case "rewind" | "forward" | "journal_cut" | "events_cut":
                amount = dice.random()
            case _:
                amount = dice.choice((0.5, 2.0, 6.0))
        at = dice.choice(busy_at) + dice.uniform(0, 0.03) if dice.random() < 0.5 else dice.uniform(0, seconds + 3)
        blows.append(Blow(at=round(at, 4), kind=kind, where=dice.randrange(6), amount=round(amount, 3)))
    return sorted(blows, key=lambda blow: blow.at)


A_SECOND, LONG = 1.0, 1e6

ALL_OF_THEM = 30
"""Room for every event of a world: where a campaign that does not get through fills the buffer, nobody behind it does."""

SMALL = 50
"""Reading so few records ahead, a partition may wait for ever behind one that is refused before the first 2xx."""


def _traffic(
    dice: Random, partitions: int, seconds: float, campaigns: tuple[int, ...], *, refusals: bool, backlog: bool
) -> list[Publication]:
    made: list[Publication] = []
    for index in range(dice.choice((20, 30, 40) if backlog else (6, 12, 12, 20))):
        at = 0.0 if dice.random() < (0.7 if backlog else 0.3) else round(dice.uniform(0, seconds), 3)
        partition = dice.randrange(partitions)
        earlier = [one for one in made if one.partition == partition and one.valid]
        if earlier and dice.random() < 0.15:
            made.append(_again(dice, dice.choice(earlier), index, at, urgently=backlog and dice.random() < 0.5))
        else:
            made.append(_event(dice, index, at, partition, dice.choice(campaigns), refusals=refusals))
    return sorted(made, key=lambda one: one.at)


def _again(dice: Random, first: Publication, index: int, at: float, *, urgently: bool) -> Publication:
    """Publish an event once more: by mistake, or as a resend that is meant."""
    resend = f"r{index}" if dice.random() < 0.3 else None
    first_identity = first.identity.partition("/")[0]
    fields = orjson.loads(first.value or b"")
    fields["contact"]["externalReference"] = reference = f"{first.partition}-{index}-ok"
    campaign = first.campaign
    if urgently:  # of the other campaign: its person is another one to the service, and its ID is the same
        fields["priority"], fields["campaignId"] = "immediate", (campaign := 3 - campaign)
    return Publication(
        at=at,
        partition=first.partition,
        value=orjson.dumps(fields),
        reference=reference,
        identity=f"{first_identity}/{resend}" if resend else first_identity,
        campaign=campaign,
        options=first.options,
        person=first.person,
        spelling=first.spelling,
        expires_at=first.expires_at,
        resend=resend,
    )


def _event(dice: Random, index: int, at: float, partition: int, campaign: int, *, refusals: bool) -> Publication:
    """Make an event; now and then one that is none, refused, urgent, old, or has a deadline or options."""
    if dice.random() < 0.04:
        value = dice.choice((b"{", None, b"[]", b'{"eventId": 7}'))
        return Publication(at=at, partition=partition, value=value, reference="", identity=f"?{index}", valid=False)
    occurred = at - (1e6 if dice.random() < 0.03 else 0)
    priority = "immediate" if dice.random() < 0.15 else None
    expires_at = at + dice.choice((0.5, 1.5, 3, 30)) if dice.random() < 0.2 else None
    options = "flash" if dice.random() < 0.15 else ""
    person, contact = _contact(dice)
    return publication(
        index=str(index),
        at=at,
        partition=partition,
        campaign=campaign,
        contact=contact,
        person=person,
        refused=dice.random() < 0.08 and refusals,
        occurred=occurred,
        priority=priority,
        expires_at=expires_at,
        options=options,
    )


def _contact(dice: Random) -> tuple[str, dict[str, str]]:
    """Return who it is, and one of the ways to write that."""
    number = dice.randrange(5)
    digits = f"60000000{number}"
    match dice.randrange(8):
        case 0:
            return f"code {number}", {"externalCode": f"c{number}"}
        case 1:
            return f"person {number}", {"phoneNumber": f"600 000 00{number}", "countryCode": "34"}
        case 2:
            return f"person {number}", {"phoneNumber": f"34{digits}", "countryCode": "34"}
        case 3:
            return f"person {number}", {"phoneNumber": f"0034 {digits}"}
        case _:
            return f"person {number}", {"phoneE164": f"+34{digits}"}


def publication(
    *,
    index: str,
    at: float,
    partition: int,
    campaign: int,
    contact: dict[str, str],
    person: str,
    refused: bool = False,
    occurred: float | None = None,
    priority: str | None = None,
    expires_at: float | None = None,
    options: str = "",
) -> Publication:
    """Return a record that is a valid event. A `refused` one's contact is one that the platform turns down."""
    reference = f"{partition}-{index}-{'bad' if refused else 'ok'}"
    event: dict[str, object] = {
        "eventId": f"event-{partition}-{index}",
        "eventType": "order.shipped",
        "occurredAt": instant(at if occurred is None else occurred),
        "campaignId": campaign,
        "contact": {**contact, "externalReference": reference},
    }
    if priority is not None:
        event["priority"] = priority
    if expires_at is not None:
        event["expiresAt"] = instant(expires_at)
    if options:
        event["send"] = {options: True}
    return Publication(
        at=at,
        partition=partition,
        value=orjson.dumps(event),
        reference=reference,
        identity=f"{partition} {index}",
        campaign=campaign,
        options=options,
        person=person,
        spelling="national" if "countryCode" in contact else "",
        expires_at=None if expires_at is None else EPOCH + round(expires_at, 6),
    )


def last_events(scenario: Scenario, at: float, name: str = "last") -> list[Publication]:
    """Return an event for each partition that the platform accepts: a refusal settles nothing before a first 2xx."""
    return [
        publication(
            index=name,
            at=at,
            partition=number,
            campaign=1,
            contact={"phoneE164": f"+3460000009{number}"},
            person=f"person last-{number}",
        )
        for number in range(scenario.partitions)
    ]


def instant(time: float) -> str:
    """Write a time of the world as RFC 3339."""
    return datetime.fromtimestamp(EPOCH + round(time, 6), UTC).isoformat()

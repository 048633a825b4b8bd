"""What operators want of campaigns: the control topic's records folded into what holds now. Starts and settles nothing.

A hold that cannot be read holds: a record of nobody's making stops its campaign, or everything, until another one
under its key or a release of all takes its place. Whoever has not read the topic to its end lately knows nothing, and
may start nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from consumer.core.event import Event
from consumer.core.memory.platform_memory import StandstillSpan
from consumer.core.outcome import Reason, Status
from consumer.core.platform.control import (
    ALL_KEY,
    CANCEL_CAMPAIGN,
    CANCEL_EVENT,
    HOLD,
    CampaignHold,
    Cancellation,
    ControlRecord,
    Forgotten,
    Release,
    Said,
    UnreadableOrder,
    campaign_in,
    said_by,
)
from consumer.core.platform.outages import Outages
from consumer.core.terms import Instant, Now, Ticks

FRESH_SECONDS: Final = 1.75
"""What was read is good for so long, from the moment at which the topic's end was asked for: a hold is obeyed within 2 s."""

NOBODY: Final = "unknown"
"""Stands for the operator where nobody can read who it was."""

_EVERYBODY: Final = "everybody"
_BLIND: Final = "blind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What some records have changed, for those who have to look at what waits."""

    said: tuple[Said, ...] = ()
    """What was said, in order: each is told."""
    campaigns: frozenset[int] = frozenset()
    """Campaigns whose waiting events settle now."""
    everybody: bool = False
    """Whether all waiting events do."""
    events: frozenset[str] = frozenset()
    """IDs of events that settle now, where they wait."""
    released: frozenset[int] = frozenset()
    """Campaigns that may go on."""

    @property
    def settles(self) -> bool:
        """Whether anything that waits settles now."""
        return self.everybody or bool(self.campaigns or self.events)


class Holds:
    """One for the process: the topic is one for the group."""

    def __init__(self, max_event_age_seconds: float) -> None:
        self._longest_seconds = max_event_age_seconds
        self._holds: dict[int | None, CampaignHold] = {}
        self._strays: dict[bytes | None, CampaignHold] = {}
        """Holds of everything that stand under keys of nobody's making."""
        self._of_events: dict[str, Cancellation] = {}
        self._of_campaigns: dict[int, Cancellation] = {}
        self._over: dict[int | str, Outages] = {}
        """Holds that are over, by campaign; under words, those of everybody, and when nobody knew what was held."""
        self._heard_at: Ticks | None = None
        self._blind_since: Instant | None = None
        self._rejects = False
        """Whether a hold rejects."""
        self.settles_any = False
        """Whether there is a cancellation, or a hold that rejects: hardly ever, so nobody looks further."""
        self.version = 0
        """Grows with everything that is said: whoever has looked at a send knows whether to look again."""

    # ---------------------------------------------------------------- hearing

    def heard(self, records: Sequence[ControlRecord], as_of: Ticks, now: Now) -> Changed:
        """Take in what was read, up to the end that the topic had at `as_of`; return what it changes."""
        if self._blind_since is not None:
            self._of(_BLIND).add(StandstillSpan(since=self._blind_since, until=now.wall))
            self._blind_since = None
        self._heard_at = as_of
        held = self.held_campaigns() if records else frozenset()
        said: list[Said] = []
        for record in records:
            one = said_by(record)
            said.append(one)
            self._take(record, one)
        self._forget_old(now)
        if said:
            self._rejects = any(hold.reject for hold in self._holds.values())
        self.settles_any = self._rejects or bool(self._of_events or self._of_campaigns)
        if not said:
            return Changed()
        self.version += 1
        return Changed(
            said=tuple(said),
            released=held - self._holds.keys(),
            **_settled_by(said),
        )

    def _take(self, record: ControlRecord, said: Said) -> None:
        self._strays.pop(record.key, None)
        match said:
            case CampaignHold():
                self._hold(said)
            case Release():
                self._release(said.campaign_id, said.held_since, said.at)
            case Cancellation(event_id=str() as event_id):
                self._of_events.pop(event_id, None)  # the order is that of their instants, as far as clocks go
                self._of_events[event_id] = said
            case Cancellation(campaign_id=int() as campaign_id):
                self._of_campaigns.pop(campaign_id, None)
                self._of_campaigns[campaign_id] = said
            case Forgotten():
                self._forget(record)
            case _:
                assert isinstance(said, UnreadableOrder)
                self._cannot_read(record, said)

    def _hold(self, hold: CampaignHold) -> None:
        known = self._holds.get(hold.campaign_id)
        if known is not None:
            self._over_of(hold.campaign_id).add(StandstillSpan(since=known.held_since, until=hold.since))
        self._holds[hold.campaign_id] = hold

    def _release(self, campaign_id: int | None, held_since: Instant | None, at: Instant) -> None:
        sinces = [] if held_since is None else [held_since]
        if campaign_id is None:
            sinces += [stray.held_since for stray in self._strays.values()]
            self._strays.clear()
        self._lift(campaign_id, sinces, at)

    def _lift(self, campaign_id: int | None, sinces: list[Instant], at: Instant) -> None:
        known = self._holds.pop(campaign_id, None)
        sinces = sinces if known is None else [*sinces, known.held_since]
        if sinces:
            self._over_of(campaign_id).add(StandstillSpan(since=min(sinces), until=at))

    def _forget(self, record: ControlRecord) -> None:
        """A tombstone stands under a key: only what that very key has said is gone."""
        key, at = record.key or b"", Instant(record.timestamp_ms / 1000)
        event_id = key.removeprefix(CANCEL_EVENT.encode())
        if key == ALL_KEY:
            self._lift(None, [], at)
        elif (campaign_id := campaign_in(key, HOLD)) is not None:
            self._lift(campaign_id, [], at)
        elif (campaign_id := campaign_in(key, CANCEL_CAMPAIGN)) is not None:
            self._of_campaigns.pop(campaign_id, None)
        elif event_id != key:
            self._of_events.pop(event_id.decode(errors="replace"), None)

    def _cannot_read(self, record: ControlRecord, said: UnreadableOrder) -> None:
        at = Instant(record.timestamp_ms / 1000)
        hold = CampaignHold(
            campaign_id=said.campaign_id,
            reject=False,
            reason=f"the control topic's record at offset {record.offset} cannot be read: {said.why}",
            operator=NOBODY,
            since=at,
            held_since=at,
        )
        if said.campaign_id is not None or record.key == ALL_KEY:
            self._hold(hold)
        else:
            self._strays[record.key] = hold

    def cannot_go_on(self, why: str, now: Now) -> Changed:
        """What was read of the topic is not there any more: nobody knows what is held, so everything is."""
        self._strays[None] = CampaignHold(
            campaign_id=None, reject=False, reason=why, operator=NOBODY, since=now.wall, held_since=now.wall
        )
        self.version += 1
        return Changed(said=(UnreadableOrder(campaign_id=None, why=why),))

    def _forget_old(self, now: Now) -> None:
        for known in (self._of_events, self._of_campaigns):
            while known:
                first = next(iter(known))
                if known[first].before + self._longest_seconds > now.wall:  # type: ignore[index]  # its own key
                    break
                del known[first]  # type: ignore[arg-type]  # see above

    # ---------------------------------------------------------------- what may start

    def is_blind(self, now: Now) -> bool:
        """Return whether nobody knows what is held: the topic was not read to its end yet, or not lately."""
        if self._heard_at is not None and now.steady - self._heard_at <= FRESH_SECONDS:
            return False
        if self._blind_since is None:
            self._blind_since = now.wall
        return True

    @property
    def was_heard(self) -> bool:
        """Whether the topic was read to its end at least once."""
        return self._heard_at is not None

    @property
    def blind_since(self) -> Instant | None:
        """Since when nobody knows what is held, as far as somebody has asked; None while it is known."""
        return self._blind_since

    @property
    def of_everybody(self) -> CampaignHold | None:
        """What holds everything, None where nothing does."""
        return self._holds.get(None) or next(iter(self._strays.values()), None)

    @property
    def any(self) -> bool:
        """Whether anything is held."""
        return bool(self._holds or self._strays)

    def held_campaigns(self) -> frozenset[int]:
        """Return the campaigns that are held by themselves."""
        return frozenset(campaign_id for campaign_id in self._holds if campaign_id is not None)

    def holds_by_itself(self, campaign_id: int) -> bool:
        """Return whether a campaign is among `held_campaigns`."""
        return campaign_id in self._holds

    def holds_campaign(self, campaign_id: int) -> bool:
        """Return whether no request of a campaign may start."""
        return bool(self._strays) or campaign_id in self._holds or None in self._holds

    # ---------------------------------------------------------------- what does not wait

    def ending(self, event: Event) -> tuple[Status, Reason] | None:
        """Return why an event that has not started does not go out and does not wait, None where it may do either."""
        campaign_id = event.group.campaign_id
        if self._is_before(event, self._of_events.get(event.event_id)) or (
            self._is_before(event, self._of_campaigns.get(campaign_id))
        ):
            return (Status.CANCELLED, Reason.OPERATOR)
        for hold in (self._holds.get(campaign_id), self._holds.get(None)):
            if hold is not None and hold.reject:
                return (Status.REJECTED, Reason.HELD)
        return None

    def _is_before(self, event: Event, cancellation: Cancellation | None) -> bool:
        return cancellation is not None and event.timestamp_ms < cancellation.before * 1000

    # ---------------------------------------------------------------- time on hold

    def spans(self, campaign_id: int, now: Now) -> Iterator[StandstillSpan]:
        """Yield when a campaign was held, or nobody knew whether, up to now: time that counts as no trying."""
        yield from self.held_spans(campaign_id, now)
        if (blind := self._over.get(_BLIND)) is not None:
            yield from blind.spans(now.wall)
        if self._blind_since is not None and self._blind_since < now.wall:
            yield StandstillSpan(since=self._blind_since, until=now.wall)

    def held_spans(self, campaign_id: int, now: Now) -> list[StandstillSpan]:
        """Return when operators held a campaign, up to now."""
        return list(self._held_spans(campaign_id, now))

    def _held_spans(self, campaign_id: int, now: Now) -> Iterator[StandstillSpan]:
        for name, hold in ((campaign_id, self._holds.get(campaign_id)), (_EVERYBODY, self._holds.get(None))):
            over = self._over.get(name)
            if over is not None:
                yield from over.spans(now.wall)
            if hold is not None and hold.held_since < now.wall:
                yield StandstillSpan(since=hold.held_since, until=now.wall)
        for stray in self._strays.values():
            if stray.held_since < now.wall:
                yield StandstillSpan(since=stray.held_since, until=now.wall)

    def _over_of(self, campaign_id: int | None) -> Outages:
        return self._of(_EVERYBODY if campaign_id is None else campaign_id)

    def _of(self, name: int | str) -> Outages:
        return self._over.setdefault(name, Outages())

    # ---------------------------------------------------------------- what people are shown

    def holds(self) -> list[CampaignHold]:
        """Return what is held, the eldest first."""
        return sorted([*self._holds.values(), *self._strays.values()], key=lambda hold: hold.since)

    def cancellations(self) -> list[Cancellation]:
        """Return what was cancelled and is still kept, the eldest first."""
        return sorted([*self._of_events.values(), *self._of_campaigns.values()], key=lambda one: one.before)


class _Settled(TypedDict):
    campaigns: frozenset[int]
    everybody: bool
    events: frozenset[str]


def _settled_by(said: Iterable[Said]) -> _Settled:
    """Return whose waiting events what was said may settle."""
    campaigns: set[int] = set()
    events: set[str] = set()
    everybody = False
    for one in said:
        match one:
            case CampaignHold(reject=True, campaign_id=None):
                everybody = True
            case CampaignHold(reject=True, campaign_id=int() as campaign_id):
                campaigns.add(campaign_id)
            case Cancellation(event_id=str() as event_id):
                events.add(event_id)
            case Cancellation(campaign_id=int() as campaign_id):
                campaigns.add(campaign_id)
            case _:
                pass
    return _Settled(campaigns=frozenset(campaigns), everybody=everybody, events=frozenset(events))

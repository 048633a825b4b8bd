"""What waits, as `/status` shows it: by campaign, by stage, in windows, in requests. Changes nothing.

Goes through windows, sends and settlements, never through their events.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from heapq import nlargest, nsmallest
from itertools import chain, islice
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import cast

from consumer.core.journal.parked_range import NOBODYS
from consumer.core.pipeline import Pipeline
from consumer.core.sending.first_arrivals import FirstArrivals
from consumer.core.sending.send import Send, SendStage, oldest_arrival
from consumer.core.terms import NEVER, Instant, Now, Ticks
from consumer.service.lag import blockage
from consumer.service.sending import next_try_at
from consumer.service.waiting_shape import OldestAges, OpenRequest, OpenWindow, WaitingCampaign, WaitingWhy

TOP_CAMPAIGNS = 20
TOP_PARKED = 20
LOOKED_AT = 20_000
"""Of campaigns in partitions, to find those of which most is parked: some 3 ms; beyond, whoever is found by then is told."""
TOP_WINDOWS = 20
TOP_REQUESTS = 50


_Eldest = tuple[Ticks, WaitingWhy, Ticks | None]
"""When a campaign's event arrived that has been here longest, what it waits for, and until when."""

_Firsts = dict[int | None, Ticks]
"""When the event of a campaign arrived that came first, by campaign; None stands for records of no one campaign."""

_ARRIVED = itemgetter(1)
_TOLD = TOP_CAMPAIGNS + 1  # one of them may belong to no campaign
_NOTHING_NEXT: Mapping[int, Ticks] = MappingProxyType({})

_ITS_TURN = frozenset({"slot", "retry", "person"})
"""What a campaign that may not start keeps from starting."""


def open_requests(pipeline: Pipeline, now: Now) -> list[OpenRequest]:
    """Return the sends that have had their slot longest."""
    out = (send for send, _ in pipeline.delivery.out())
    return [
        OpenRequest(
            send_id=send.send_id,
            campaign=str(send.campaign_id),
            contacts=len(send.members),
            attempt=send.attempt,
            stage="posting" if send.stage is SendStage.POSTING else "proving",
            age_seconds=_age(send.picked_at, now),
        )
        for send in nsmallest(TOP_REQUESTS, out, key=lambda send: send.picked_at)
    ]


class WaitingReading:
    """What waits at one moment: who has waited longest in each stage, and in each campaign."""

    def __init__(self, pipeline: Pipeline, now: Now) -> None:
        self._pipeline = pipeline
        self._now = now
        self._blockage = blockage(pipeline.access, now)
        self._stages: dict[str, Ticks] = {}
        self._eldest: dict[int, _Eldest] = {}
        self._windows = sorted(pipeline.windows.open_windows(), key=attrgetter("oldest_at"))
        self._look_at_windows()
        self._look_at_the_queue()
        self._look_at_requests()
        self._look_at_settlements()

    def oldest(self) -> OldestAges:
        """Return the age of the oldest event in each stage."""
        ages = {stage: _age(arrived, self._now) for stage, arrived in self._stages.items()}
        return OldestAges(
            in_window=ages.get("in_window"),
            queued=ages.get("queued"),
            in_flight=ages.get("in_flight"),
            blocked=ages.get("blocked"),
            settling=ages.get("settling"),
        )

    def windows(self) -> list[OpenWindow]:
        """Return the oldest open windows."""
        most_contacts, now = self._pipeline.windows.most_contacts, self._now
        return [
            OpenWindow(
                campaign=str(window.key.campaign_id),
                priority="immediate" if window.immediate else "normal",
                events=len(window.by_person),
                max_contacts=most_contacts(window),
                bytes=window.size_bytes,
                age_seconds=_age(window.oldest_at, now),
                closes_in_seconds=_until(window.close_at, now) or 0.0,
            )
            for window in self._windows[:TOP_WINDOWS]
        ]

    def campaigns(self) -> list[WaitingCampaign]:
        """Return the campaigns whose oldest event has been here longest, and those that have parked records alone."""
        eldest = nsmallest(TOP_CAMPAIGNS, self._eldest.items(), key=lambda item: item[1][0])
        parked = self._parked_alone()
        counts = self._counts({campaign_id for campaign_id, _ in eldest} | parked.keys())
        return [
            *(self._campaign(campaign_id, found, counts[campaign_id]) for campaign_id, found in eldest),
            *(
                self._parked_campaign(campaign_id, count)
                for campaign_id, count in parked.items()
                if not counts[campaign_id]  # what has settled may be in hand still, until its result is acknowledged
            ),
        ]

    def _campaign(self, campaign_id: int, found: _Eldest, events: int) -> WaitingCampaign:
        arrived, why, next_at = found
        if why in _ITS_TURN:
            why, next_at = self._as_its_campaign(campaign_id) or (why, next_at)
        return WaitingCampaign(
            campaign=str(campaign_id),
            events=events,
            parked=self._parked_of(campaign_id),
            oldest_seconds=_age(arrived, self._now),
            why=why,
            next_try_in_seconds=_until(next_at, self._now),
        )

    def _parked_campaign(self, campaign_id: int, parked: int) -> WaitingCampaign:
        why, next_at = self._as_its_campaign(campaign_id) or ("parked", None)
        return WaitingCampaign(
            campaign=str(campaign_id),
            events=0,
            parked=parked,
            oldest_seconds=None,
            why=why,
            next_try_in_seconds=_until(next_at, self._now),
        )

    def _parked_alone(self) -> dict[int, int]:
        """Return how many records of the campaigns are parked that have most of them, and no event that waits in hand."""
        lanes = self._pipeline.lanes.values()
        in_hand = {NOBODYS}.union(*(lane.undecided for lane in lanes))
        counts: dict[int, int] = {}
        for campaign_id, count in islice(
            chain.from_iterable(lane.parked.campaigns.items() for lane in lanes), LOOKED_AT
        ):
            if campaign_id not in in_hand:
                counts[campaign_id] = counts.get(campaign_id, 0) + count
        most = [campaign_id for campaign_id, _ in nlargest(TOP_PARKED, counts.items(), key=itemgetter(1))]
        return {campaign_id: self._parked_of(campaign_id) for campaign_id in most}

    def _parked_of(self, campaign_id: int) -> int:
        return sum(lane.parked.campaigns.get(campaign_id, 0) for lane in self._pipeline.lanes.values())

    def _as_its_campaign(self, campaign_id: int) -> tuple[WaitingWhy, Ticks | None] | None:
        """Return what keeps all of a campaign from its turns, and until when; None where nothing does."""
        access, now = self._pipeline.access, self._now
        if access.holds.holds_campaign(campaign_id):
            return "held", None
        if self._blockage.everything:
            return "access", None if access.shut_until(now) == NEVER else next_try_at(self._pipeline, now)
        campaign_at = access.campaign_at(campaign_id)
        if campaign_id in access.refused:
            return "refused", campaign_at
        return ("throttled", campaign_at) if campaign_at > now.steady else None

    def _counts(self, campaigns: Collection[int]) -> Counter[int]:
        """Return how many events of each of these are in hand; of what has settled, those that were in sends."""
        pipeline = self._pipeline
        counts: Counter[int] = Counter()
        for window in [one for one in self._windows if one.campaign_id in campaigns]:
            counts[window.campaign_id] += len(window.by_person)
        for lane in pipeline.lanes.values():
            waiting = pipeline.queue.waiting_events.of(lane.partition)
            for campaign_id in campaigns:
                counts[campaign_id] += waiting.get(campaign_id, 0)
            for settlement in lane.settling.values():
                if settlement.campaign_id is not None and settlement.campaign_id in campaigns:
                    counts[settlement.campaign_id] += len(settlement.offsets)
        for send, count, _ in _out(pipeline):
            counts[send.campaign_id] += count
        return counts

    # ---------------------------------------------------------------- stage by stage
    # There may be 100,000 sends: what is done for each stands in a plain loop, and makes no object.

    def _note(self, stage: str, why: WaitingWhy, firsts: _Firsts, next_at: Mapping[int, Ticks] = _NOTHING_NEXT) -> None:
        """Take note of who was the first of each campaign in one stage; only those that may be told are kept."""
        told = nsmallest(_TOLD, firsts.items(), key=_ARRIVED)
        if not told:
            return
        self._stages[stage] = min(told[0][1], self._stages.get(stage, NEVER))
        for campaign_id, arrived in told:
            if campaign_id is None:
                continue
            known = self._eldest.get(campaign_id)
            if known is None or arrived < known[0]:
                self._eldest[campaign_id] = (arrived, why, next_at.get(campaign_id))

    def _note_waiting(self, why: WaitingWhy, firsts: _Firsts, next_at: Mapping[int, Ticks] = _NOTHING_NEXT) -> None:
        """Take note of what waits for its turn, which its whole campaign may be kept from."""
        everything, campaigns = self._blockage
        if everything:
            self._note("blocked", why, firsts, next_at)
            return
        blocked: _Firsts = {one: firsts.pop(one) for one in campaigns if one in firsts}
        self._note("blocked", why, blocked, next_at)
        self._note("queued", why, firsts, next_at)

    def _note_first(self, why: WaitingWhy, arrivals: FirstArrivals) -> None:
        """Do the same where the first of each campaign are kept."""
        everything, campaigns = self._blockage
        blocked, others = arrivals.eldest(_TOLD, blocked=campaigns)
        self._note("blocked", why, cast("_Firsts", blocked))  # both are made for us: nobody else has them
        self._note("blocked" if everything else "queued", why, cast("_Firsts", others))

    def _look_at_windows(self) -> None:
        firsts: _Firsts = {}
        next_at: dict[int, Ticks] = {}
        for window in self._windows:
            campaign_id = window.campaign_id
            if campaign_id not in firsts:
                firsts[campaign_id], next_at[campaign_id] = window.oldest_at, window.close_at
                if len(firsts) == _TOLD:
                    break
        self._note("in_window", "window", firsts, next_at)

    def _look_at_the_queue(self) -> None:
        pipeline = self._pipeline
        self._note_first("slot", pipeline.queue.first_arrivals)
        self._note_waiting("retry", *_first_of_sends(pipeline.queue.in_back_off()))
        self._note_first("person", pipeline.waiters.first_arrivals)
        firsts, _ = _first_of_sends(pipeline.delivery.set_aside())
        self._note("blocked", "journal", firsts)

    def _look_at_requests(self) -> None:
        firsts: _Firsts = {}
        for send, count, arrived in _out(self._pipeline):
            if count and arrived < firsts.get(send.campaign_id, NEVER):
                firsts[send.campaign_id] = arrived
        self._note("in_flight", "in_flight", firsts)

    def _look_at_settlements(self) -> None:
        received: dict[int | None, Instant] = {}
        for lane in self._pipeline.lanes.values():
            for settlement in lane.settling.values():
                received_at = settlement.first.received_at
                if received_at < received.get(settlement.campaign_id, NEVER):
                    received[settlement.campaign_id] = received_at
        steady, wall = self._now.steady, self._now.wall
        firsts: _Firsts = {one: Ticks(steady - max(0.0, wall - at)) for one, at in received.items()}
        self._note("settling", "settling", firsts)


def _first_of_sends(sends: Iterable[Send]) -> tuple[_Firsts, dict[int, Ticks]]:
    """Return who was the first of each campaign, and when that one's send is ready."""
    firsts: _Firsts = {}
    next_at: dict[int, Ticks] = {}
    for send in sends:
        campaign_id, arrived = send.group.campaign_id, send.oldest_at
        if arrived < firsts.get(campaign_id, NEVER):
            firsts[campaign_id], next_at[campaign_id] = arrived, send.ready_at
    return firsts, next_at


def _out(pipeline: Pipeline) -> Iterator[tuple[Send, int, Ticks]]:
    """Yield the sends with a slot; of their members whose partitions are still ours, the number and the first arrival."""
    for send, parts in pipeline.delivery.out():
        ours = [members for lane, members in parts.values() if not lane.dropped]
        is_whole = len(ours) == len(parts)
        yield send, sum(map(len, ours)), send.oldest_at if is_whole else oldest_arrival(chain.from_iterable(ours))


def _age(since: Ticks, now: Now) -> float:
    return round(max(0.0, now.steady - since), 3)


def _until(at: Ticks | None, now: Now) -> float | None:
    return None if at is None else round(max(0.0, at - now.steady), 3)

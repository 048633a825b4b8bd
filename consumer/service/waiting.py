"""What waits, as `/status` shows it: by campaign, by stage, in windows, in requests. Changes nothing.

Goes through windows, sends and settlements, never through their events.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import nsmallest
from typing import NamedTuple

from consumer.core.journal.lane import Lane, Settlement
from consumer.core.pipeline import Pipeline
from consumer.core.sending.send import SendStage
from consumer.core.terms import NEVER, Now, Ticks
from consumer.service.lag import blockage
from consumer.service.status_shape import OldestAges, OpenRequest, OpenWindow, WaitingCampaign, WaitingWhy

TOP_CAMPAIGNS = 20
TOP_WINDOWS = 20
TOP_REQUESTS = 50


class _Eldest(NamedTuple):
    """A campaign's event that has been here longest, by when it arrived."""

    arrived: Ticks
    why: WaitingWhy
    next_at: Ticks | None


def open_windows(pipeline: Pipeline, now: Now) -> list[OpenWindow]:
    """Return the oldest open windows."""
    windows = pipeline.windows
    return [
        OpenWindow(
            campaign=str(window.key.campaign_id),
            priority="immediate" if window.immediate else "normal",
            events=len(window.by_person),
            max_contacts=windows.most_contacts(window),
            bytes=window.size_bytes,
            age_seconds=_age(window.oldest_at, now),
            closes_in_seconds=_until(window.close_at, now) or 0.0,
        )
        for window in nsmallest(TOP_WINDOWS, windows.open_windows(), key=lambda window: window.oldest_at)
    ]


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

    def campaigns(self) -> list[WaitingCampaign]:
        """Return the campaigns whose oldest event has been here longest."""
        eldest = nsmallest(TOP_CAMPAIGNS, self._eldest.items(), key=lambda item: item[1].arrived)
        counts = self._counts()
        return [
            WaitingCampaign(
                campaign=str(campaign_id),
                events=counts[campaign_id],
                oldest_seconds=_age(found.arrived, self._now),
                why=found.why,
                next_try_in_seconds=_until(found.next_at, self._now),
            )
            for campaign_id, found in eldest
        ]

    def _counts(self) -> Counter[int]:
        """Return how many events of each campaign are in hand; of what has settled, those that were in sends."""
        pipeline = self._pipeline
        counts: Counter[int] = Counter()
        for window in pipeline.windows.open_windows():
            counts[window.key.campaign_id] += len(window.by_person)
        for lane in pipeline.lanes.values():
            for campaign_id, count in pipeline.queue.waiting_events.of(lane.partition).items():
                counts[campaign_id] += count
            for settlement in lane.settling.values():
                if settlement.campaign_id is not None:
                    counts[settlement.campaign_id] += len(settlement.offsets)
        for send, parts in pipeline.delivery.out():
            counts[send.campaign_id] += sum(len(members) for lane, members in parts.values() if not lane.dropped)
        return counts

    # ---------------------------------------------------------------- stage by stage

    def _note(self, stage: str, campaign_id: int | None, found: _Eldest) -> None:
        if found.arrived < self._stages.get(stage, NEVER):
            self._stages[stage] = found.arrived
        if campaign_id is not None:
            known = self._eldest.get(campaign_id)
            if known is None or found.arrived < known.arrived:
                self._eldest[campaign_id] = found

    def _look_at_windows(self) -> None:
        for window in self._pipeline.windows.open_windows():
            self._note("in_window", window.key.campaign_id, _Eldest(window.oldest_at, "window", window.close_at))

    def _look_at_the_queue(self) -> None:
        pipeline, now = self._pipeline, self._now
        for send in pipeline.queue.sends():
            is_tried_later = send.ready_at > now.steady
            why: WaitingWhy = "retry" if is_tried_later else "slot"
            found = _Eldest(send.oldest_at, why, send.ready_at if is_tried_later else None)
            self._note_waiting(send.campaign_id, found)
        for send in pipeline.delivery.set_aside():
            self._note("blocked", send.campaign_id, _Eldest(send.oldest_at, "journal", None))
        for event in pipeline.waiters.first_of_each():
            self._note_waiting(event.group.campaign_id, _Eldest(event.arrived, "person", None))

    def _note_waiting(self, campaign_id: int, found: _Eldest) -> None:
        """Take note of what waits for its turn; what keeps all of its campaign from starting is said first."""
        known = self._eldest.get(campaign_id)
        is_blocked = self._blockage.everything or campaign_id in self._blockage.campaigns
        stage = "blocked" if is_blocked else "queued"
        if known is not None and known.arrived <= found.arrived:
            self._note(stage, None, found)
            return
        self._note(stage, campaign_id, self._as_its_campaign(campaign_id, found))

    def _as_its_campaign(self, campaign_id: int, found: _Eldest) -> _Eldest:
        access, now = self._pipeline.access, self._now
        if access.holds.holds_campaign(campaign_id):
            return found._replace(why="held", next_at=None)
        if self._blockage.everything:
            shut_until = access.shut_until(now)
            return found._replace(why="access", next_at=None if shut_until == NEVER else max(now.steady, shut_until))
        campaign_at = access.campaign_at(campaign_id)
        if campaign_id in access.refused:
            return found._replace(why="refused", next_at=max(now.steady, campaign_at))
        if campaign_at > now.steady:
            return found._replace(why="throttled", next_at=campaign_at)
        return found

    def _look_at_requests(self) -> None:
        for send, parts in self._pipeline.delivery.out():
            if not all(lane.dropped for lane, _ in parts.values()):
                self._note("in_flight", send.campaign_id, _Eldest(send.oldest_at, "in_flight", None))

    def _look_at_settlements(self) -> None:
        for settlement in _settling(self._pipeline.lanes.values()):
            arrived = Ticks(self._now.steady - max(0.0, self._now.wall - settlement.first.received_at))
            self._note("settling", settlement.campaign_id, _Eldest(arrived, "settling", None))


def _settling(lanes: Iterable[Lane]) -> Iterator[Settlement]:
    for lane in lanes:
        yield from lane.settling.values()


def _age(since: Ticks, now: Now) -> float:
    return round(max(0.0, now.steady - since), 3)


def _until(at: Ticks | None, now: Now) -> float | None:
    return None if at is None else round(max(0.0, at - now.steady), 3)

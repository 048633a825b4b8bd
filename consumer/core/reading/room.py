"""Who may fill how much of the buffer: nobody's backlog takes the room that somebody else's events need. Holds no event.

Each campaign may have so many events without an outcome as a multiple of what is free at that moment (dynamic thresholds:
Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998). Alone it fills some
seven tenths; many share. Campaigns that may not go on take far less, and no more than half of the buffer all together; what
they had before they were stopped is parked again where others need the room (`parking_again.py`). The last tenth is for
campaigns that have little here, and half of it for immediate events alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from operator import attrgetter

from consumer.core.event import Decoded, Event, Record
from consumer.core.intake.invalid import EVENT_OVERHEAD_BYTES
from consumer.core.journal.lane import Lane, Settlement
from consumer.core.platform.access import Access
from consumer.core.policy import Policies
from consumer.core.terms import AT_ONCE, Now, Ticks

SHARE = 4.0
"""Of what is free, for a campaign that goes on."""
DUE_SHARE = 19.0
"""The same for its immediate events, and what has to leave before them: alone, they leave a twentieth of the buffer."""
BLOCKED_SHARE, BLOCKED_FLOOR = 0.25, 0.5
"""For one that is held, refused, or asked to wait: its share of what is free beyond so much of the buffer."""
LAST_SHARE, LITTLE_SHARE = 0.1, 0.005
"""Of the buffer: what is kept for campaigns that have no more than so little of it here, and half of it for immediate events
alone."""
URGENT_SHARE = 0.1
"""Of the buffer, for events of urgent topics alone, where there are such topics."""
LOOK_SECONDS_EACH = 20e-6
"""How long no full campaign is looked at, for each that was: some 2 us a piece are a tenth of the time."""
LOW_WATER = 0.8
"""Share of its threshold below which a campaign that was full may have more: what is read again comes in large pieces."""

_CAMPAIGN = attrgetter("group.campaign_id")


class Room:
    """Counts events without an outcome by campaign; told by the pipeline, asked by whoever reads."""

    def __init__(self, policies: Policies, access: Access) -> None:
        self._most = policies.buffer_max_events
        self._most_bytes = policies.buffer_max_bytes
        self.access = access
        self._undecided: dict[int, int] = {}
        self._coming: dict[int, int] = {}
        """Those that were promised room and are not here yet."""
        self._full: set[int] = set()
        """Campaigns that have reached their threshold, and were not far enough below it since."""
        self._reserve = URGENT_SHARE * self._most if policies.urgent_topics else 0.0
        self._urgent_topics = policies.urgent_topics
        self._free = float(self._most)
        self._look_at = AT_ONCE

    # ---------------------------------------------------------------- what is here

    def came(self, lane: Lane, records: Sequence[Decoded], now: Now) -> None:
        """Events of a partition are in hand, and have no outcome yet."""
        self._coming.clear()
        counts = _by_campaign(records)
        for campaign_id, count in counts.items():
            self._undecided[campaign_id] = self._undecided.get(campaign_id, 0) + count
            lane.undecided[campaign_id] = lane.undecided.get(campaign_id, 0) + count
        for campaign_id in counts:
            if self.is_blocked(campaign_id, now):
                self._has_room(campaign_id, self._free_for(lane.partition.topic), now)  # finds it full, where it is

    def decided(self, lane: Lane, settlement: Settlement) -> None:
        """The outcomes of some records are proven."""
        campaign_id = settlement.campaign_id
        counts = (
            {campaign_id: len(settlement.offsets)}
            if campaign_id is not None
            else _by_campaign([record for _, records in settlement.items for record in records])
        )
        for one, count in counts.items():
            self._take_off(lane.undecided, one, count)
            self._take_off(self._undecided, one, count)

    def parked_again(self, lane: Lane, events: Sequence[Event]) -> None:
        """Events of a partition are in hand no more, and have no outcome."""
        for one, count in _by_campaign(events).items():
            self._take_off(lane.undecided, one, count)
            self._take_off(self._undecided, one, count)

    def in_hand(self, campaign_id: int) -> int:
        """Return how many events without an outcome a campaign has here."""
        return self._undecided.get(campaign_id, 0)

    def forget(self, lane: Lane) -> None:
        """A partition is no longer ours."""
        for campaign_id, count in lane.undecided.items():
            self._take_off(self._undecided, campaign_id, count)
        lane.undecided = {}

    @staticmethod
    def _take_off(counts: dict[int, int], campaign_id: int, count: int) -> None:
        left = counts.get(campaign_id, 0) - count
        assert left >= 0, campaign_id
        if left:
            counts[campaign_id] = left
        else:
            counts.pop(campaign_id, None)

    def measure(self, held_events: int, held_bytes: int) -> None:
        """Take note of how full the buffer is."""
        self._free = self._most * (1.0 - max(held_events / self._most, held_bytes / self._most_bytes))

    # ---------------------------------------------------------------- what may come

    def look_again(self, now: Now) -> None:
        """Find out which full campaigns may have more: the more there are, the less often."""
        if now.steady < self._look_at:
            return
        self._look_at = Ticks(now.steady + LOOK_SECONDS_EACH * len(self._full))
        for campaign_id in list(self._full):
            self._has_room(campaign_id, self._free - self._reserve, now)

    @property
    def any_full(self) -> bool:
        """Whether a campaign has all that it may have."""
        return bool(self._full)

    def admits(self, campaign_id: int, topic: str, now: Now, *, immediate: bool) -> bool:
        """Return whether an event of this campaign may come from this topic."""
        free = self._free_for(topic)
        if free < 1.0:
            return False
        if immediate and not self.is_blocked(campaign_id, now):
            return self.admits_due(campaign_id, topic)
        return self._has_room(campaign_id, free, now)

    def admits_due(self, campaign_id: int, topic: str) -> bool:
        """Return whether an event may come that cannot wait, whatever its campaign may do."""
        free = self._free_for(topic)
        return free >= 1.0 and self._here(campaign_id) < DUE_SHARE * free

    def most_due(self, campaign_id: int, topic: str) -> float:
        """Return how many such events of a campaign may come, as things are."""
        return (DUE_SHARE * self._free_for(topic) - self._here(campaign_id)) / (DUE_SHARE + 1.0)

    def _here(self, campaign_id: int) -> int:
        return self._undecided.get(campaign_id, 0) + self._coming.get(campaign_id, 0)

    def with_room(self, campaigns: Mapping[int, int], topic: str, now: Now) -> set[int]:
        """Return those of many campaigns of which an event that is not immediate may come.

        Whoever was full at the last look is passed over: ten thousand of them in each of many partitions would hold the loop.
        """
        some = campaigns.keys() if topic in self._urgent_topics else campaigns.keys() - self._full
        return {one for one in some if self.admits(one, topic, now, immediate=False)}

    def _has_room(self, campaign_id: int, free: float, now: Now) -> bool:
        if self.is_blocked(campaign_id, now):
            threshold = BLOCKED_SHARE * (free - BLOCKED_FLOOR * self._most)
        else:
            last = LAST_SHARE * self._most
            little = max(1.0, LITTLE_SHARE * self._most) if free >= last / 2 else 0.0
            threshold = max(SHARE * (free - last), little)
        here = self._here(campaign_id)
        if here >= threshold:
            self._full.add(campaign_id)
            return False
        if campaign_id in self._full:
            if here >= LOW_WATER * threshold and here > 0:
                return False
            self._full.discard(campaign_id)
        return True

    def is_blocked(self, campaign_id: int, now: Now, *, seconds: float = 0.0) -> bool:
        """Return whether a campaign by itself cannot go on for so long: held, refused, or asked to wait."""
        return campaign_id in self.access.refused or self.access.campaign_at(campaign_id) > now.steady + seconds

    def blocked(self, now: Now, *, seconds: float) -> list[int]:
        """Return the campaigns that have something here and cannot go on for so long, whoever has the most last."""
        here = self._undecided
        return sorted([one for one in here if self.is_blocked(one, now, seconds=seconds)], key=here.__getitem__)

    def _free_for(self, topic: str) -> float:
        return self._free if topic in self._urgent_topics else self._free - self._reserve

    def fits(self, count: int, topic: str) -> bool:
        """Return whether so many events of this topic have their place, whosever they are."""
        return count <= self._free_for(topic)

    def events_for(self, topic: str) -> int:
        """Return how many more events of this topic have their place; one that has half a place has it."""
        return max(0, ceil(self._free_for(topic)))

    def is_spent(self, topic: str) -> bool:
        """Return whether nothing at all may come from this topic."""
        return self._free_for(topic) < 1.0

    def fill_of(self, topic: str) -> float:
        """Return which share of what this topic may use is taken."""
        return 1.0 - self._free_for(topic) / (
            self._most if topic in self._urgent_topics else self._most - self._reserve
        )

    def promise(self, campaign_id: int, record: Record) -> None:
        """Let an event come: it takes its place from now on."""
        self._coming[campaign_id] = self._coming.get(campaign_id, 0) + 1
        self._free -= max(1.0, (len(record.value or b"") + EVENT_OVERHEAD_BYTES) / self._most_bytes * self._most)


def _by_campaign(records: Sequence[Decoded]) -> Counter[int]:
    return Counter(map(_CAMPAIGN, [record for record in records if type(record) is Event]))

"""Read ahead, park, come back: a backlog must not hide what cannot wait, and no campaign may stand before the others.

Where there is no room for an event, reading goes on past it: it is parked, and read again when there is room. Immediate
events are taken as they come, and so is whatever has room. The rule that keeps order and deduplication: **nothing is taken
while an earlier record of its ID or its person is parked.** Who finds one such waits parked, too, and makes it due at once.

Reads nothing itself: it says which ranges are to be read again, one pass at a time in each partition.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter

from consumer.core.commands import ReadAgain
from consumer.core.event import Record
from consumer.core.intake.glance import Glances
from consumer.core.journal.lane import Lane
from consumer.core.journal.parked_range import Glance, ParkedRange
from consumer.core.policy import Policies
from consumer.core.reading.passes import ComesBackFor, Pass
from consumer.core.reading.room import Room
from consumer.core.terms import AT_ONCE, Now, Offset, Partition, Ticks

TIGHT, LOOSE = 0.75, 0.5
"""Shares of the buffer: from the first on it is tight, until it is below the second."""

PATIENCE_SECONDS = 0.25
"""For how long a tight buffer only pauses reading: what was read past is read twice."""

LOOK_SECONDS, SOONEST_SECONDS = 0.25, 0.02
"""How often it is looked for what may come back; and where something has changed, how often at most."""

PASSES_AT_ONCE = 4
"""Those that get on: what some brokers do not give out keeps nothing else from being read."""

EXPIRY_SHARE = 4.0
"""For so many times as long as a pass for expired records took, there is no other one in its partition."""

URGENT_SHARE_WORTHWHILE = 0.25
"""Where so large a part of a range's records has room, or all immediate ones have, a pass for those does not wait."""

SMALLEST_RANGE, RANGES_A_BUFFER = 64, 16
"""Records in a parked range, and the share of the buffer that they are: a pass reads all, and most should have room."""

MOST_INDEX = 0.5
"""Share of the buffer's bytes that the indices of parked ranges may take: beyond, reading ahead ends."""


class ReadAhead:
    """Decides of every record that was read whether it is taken now."""

    def __init__(self, policies: Policies, lanes: Mapping[Partition, Lane], room: Room, glances: Glances) -> None:
        self._lanes = lanes
        self._room = room
        self._glances = glances
        self._is_off = not policies.read_ahead
        self._most_index_bytes = MOST_INDEX * policies.buffer_max_bytes
        self._passes: dict[Lane, Pass] = {}
        self._tight_since: Ticks | None = None
        self.is_ahead = False
        """Whether it is read past what has no room, because the buffer has been tight for a while."""
        self.may_park = True
        """Whether more may be parked, as far as the memory for it went at the last look: one sum for all partitions."""
        self._is_stirred = False
        self._looked_at = AT_ONCE
        self._any_parked = False
        """Whether anything was parked since a look has found nothing: most turns have nothing to look for."""

    # ---------------------------------------------------------------- whether there is room

    def look(self, fill: float, now: Now) -> bool:
        """Look at how full the buffer is; return whether partitions are read at all, as far as that goes."""
        if fill >= TIGHT:
            self._tight_since = now.steady if self._tight_since is None else self._tight_since
        elif fill < LOOSE:
            self._tight_since = None
        self.is_ahead = self._tight_since is not None and now.steady - self._tight_since >= PATIENCE_SECONDS
        self.may_park = sum([lane.parked.size_bytes for lane in self._lanes.values()]) < self._most_index_bytes
        self._room.look_again(now)
        return self.is_ahead or fill < TIGHT

    @property
    def is_past(self) -> bool:
        """Whether reading goes on past something: the buffer is tight, or a campaign's share of it left some records parked."""
        return self.is_ahead or self._any_parked

    # ---------------------------------------------------------------- for the first time

    def take(self, lane: Lane, records: Sequence[Record], now: Now) -> Sequence[Record]:
        """Return what of a fetched batch is taken, and park the rest."""
        is_narrow = lane.parked or self.is_ahead or self._room.any_full
        if self._is_off or (not is_narrow and self._room.fits(len(records), lane.partition.topic)):
            lane.watermark.read([Offset(record.offset) for record in records])
            return records
        glances = self._glances.at(lane.partition, records, now)
        parked_campaigns, full, published = lane.parked.campaigns, set[int](), lane.published
        taken: list[Record] = []
        since = 0
        for at, (record, glance) in enumerate(zip(records, glances, strict=True)):
            campaign_id = glance.campaign_id
            if published and record.offset in published:
                self._park(lane, records[since:at], glances[since:at])
                lane.watermark.passed(Offset(record.offset + 1))
                since = at + 1
            elif not glance.immediate and (campaign_id in parked_campaigns or campaign_id in full):
                continue  # in its order, behind those of its campaign
            elif not self._room.admits(campaign_id, lane.partition.topic, now, immediate=glance.immediate):
                full.add(campaign_id)
            else:
                self._park(lane, records[since:at], glances[since:at])
                since = at
                if self._comes(lane, glance, Offset(record.offset)):
                    self._room.promise(campaign_id, record)
                    lane.watermark.read([Offset(record.offset)])
                    taken.append(record)
                    since = at + 1
        self._park(lane, records[since:], glances[since:])
        return taken

    def _park(self, lane: Lane, records: Sequence[Record], glances: Sequence[Glance]) -> None:
        """Leave these where they are: neighbours, with nothing between them that can be read."""
        if not records:
            return
        start, stop = Offset(records[0].offset), Offset(records[-1].offset + 1)
        lane.parked.add(glances, records[0].timestamp, start=start, stop=stop)
        lane.watermark.park(start, stop)
        self._any_parked = True

    def _comes(self, lane: Lane, glance: Glance, offset: Offset) -> bool:
        """Return whether nobody stands before a record that has room; somebody who does is due from now on."""
        parked = lane.parked
        if not parked:
            return True
        before = parked.ahead_of(glance.words)
        if not before:
            return True
        for one in before:
            one.wanted.update(glance.words)
        parked.tail(offset).wanted.update(glance.words)
        self.stir()
        return False

    # ---------------------------------------------------------------- once more

    def parked_again(self) -> None:
        """Something that was in hand is parked again, and may have made room for others."""
        self._any_parked = True
        self.stir()

    def stir(self) -> None:
        """Something has changed: what is parked may perhaps come back."""
        self._is_stirred = True

    def take_again(self, lane: Lane, records: Sequence[Record], reached: Offset, now: Now) -> Sequence[Record]:
        """Return what is taken of records that were read again up to `reached`; the rest stays parked."""
        parked = [record for record in records if record.offset in lane.watermark.parked]
        glances = self._glances.at(lane.partition, parked, now)
        return self._passes[lane].through(parked, glances, reached, self._room, now)

    def next_reads(self, now: Now) -> list[ReadAgain]:
        """Return what is to be read again now: the next piece of each pass that waits for one, and of new passes."""
        for lane in [lane for lane in self._passes if lane.dropped]:
            del self._passes[lane]
        reads: list[ReadAgain] = []
        for lane, one in list(self._passes.items()):
            if not one.is_reading:
                self._go_on(lane, one, reads, now)
        if self._is_time_to_look(now):
            self._looked_at, self._is_stirred = now.steady, False  # the end of a pass stirs it again
            self._any_parked = any(lane.parked for lane in self._lanes.values())
            more = PASSES_AT_ONCE - sum(not one.is_stuck(now) for one in self._passes.values())
            if more > 0:
                self._begin(reads, now, most=more)
        return reads

    def wake_at(self) -> Ticks | None:
        """Return when to look again, None where nothing is parked."""
        if not self._any_parked:
            return None
        return Ticks(self._looked_at + (SOONEST_SECONDS if self._is_stirred else LOOK_SECONDS))

    def is_due(self, now: Now) -> bool:
        """Return whether it is time to look: a pass waits for its next piece, or one might begin."""
        return any(not one.is_reading for one in self._passes.values()) or self._is_time_to_look(now)

    def _is_time_to_look(self, now: Now) -> bool:
        wake_at = self.wake_at()
        return wake_at is not None and wake_at <= now.steady

    def _go_on(self, lane: Lane, one: Pass, reads: list[ReadAgain], now: Now) -> None:
        piece = one.next_piece()
        if piece is not None:
            one.reads_since = now.steady
            reads.append(ReadAgain(lane, *piece))
            return
        one.end()
        del self._passes[lane]
        lane.parked.passed_at = now.steady
        if one.lacks_room and one.reason is ComesBackFor.WANTED:
            lane.parked.in_vain_until = Ticks(now.steady + LOOK_SECONDS)
        if one.is_for_expired:
            lane.parked.no_expiry_until = Ticks(now.steady + EXPIRY_SHARE * (now.steady - one.began_at))
        self.stir()

    def _begin(self, reads: list[ReadAgain], now: Now, *, most: int) -> None:
        """Begin so many passes, where there is most reason for one, in turns."""
        self._room.look_again(now)
        found: list[tuple[ComesBackFor, Ticks, Lane, ParkedRange]] = []
        for lane in self._lanes.values():
            if lane.parked and lane.may_send and lane not in self._passes:
                reason, over = self._next_range(lane, now)
                if over is not None:
                    found.append((reason, lane.parked.passed_at, lane, over))
        found.sort(key=itemgetter(0, 1))
        for reason, _, lane, over in found[:most]:
            if reason is ComesBackFor.IMMEDIATE:
                lane.parked.urgent_at = now.steady
            self._passes[lane] = one = Pass(reason, lane.partition.topic, lane.parked, lane.watermark, over, now)
            self._go_on(lane, one, reads, now)

    def _next_range(self, lane: Lane, now: Now) -> tuple[ComesBackFor, ParkedRange | None]:
        """Return the first range whose records may come back, for the gravest reason that one has."""
        topic, ranges = lane.partition.topic, lane.parked.ranges
        if self._room.is_spent(topic):
            return ComesBackFor.ROOM, None
        found = next((one for one in ranges if one.wanted), None)
        if found is not None and lane.parked.in_vain_until <= now.steady:
            return ComesBackFor.WANTED, found
        if lane.parked.no_expiry_until <= now.steady:
            found = next((one for one in ranges if one.expires_at <= now.wall), None)
            if found is not None:
                return ComesBackFor.EXPIRED, found
        found = next((one for one in ranges if self._may_urgent_come(lane, one, now)), None)
        if found is not None:
            return ComesBackFor.IMMEDIATE, found
        campaigns = self._room.with_room(lane.parked.campaigns, topic, now)
        return ComesBackFor.ROOM, next((one for one in ranges if not campaigns.isdisjoint(one.campaigns)), None)

    def _may_urgent_come(self, lane: Lane, one: ParkedRange, now: Now) -> bool:
        """Return whether an immediate record of this range has room. A pass reads all of it: for a few of many, seldom."""
        topic = lane.partition.topic
        room = self._room
        admitted = [each for each in one.urgent if room.admits(each, topic, now, immediate=True)]
        if not admitted:
            return False
        worthwhile = min(sum(one.urgent.values()), URGENT_SHARE_WORTHWHILE * one.count)
        most = max([room.most_due(campaign_id, topic) for campaign_id in admitted])
        return most >= worthwhile or now.steady >= lane.parked.urgent_at + LOOK_SECONDS


def range_records_of(policies: Policies) -> int:
    """Return how many records a parked range holds at most."""
    return min(policies.parked_range_records, max(SMALLEST_RANGE, policies.buffer_max_events // RANGES_A_BUFFER))

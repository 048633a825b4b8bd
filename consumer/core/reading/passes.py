"""One batch on its way past, and one pass over a parked range: what is taken, what stays parked. Owns neither room nor lane."""

from collections.abc import Sequence

from consumer.core.event import Record
from consumer.core.journal.offset_ranges import OffsetRanges
from consumer.core.journal.parked import Glance, Parked, ParkedRange
from consumer.core.journal.watermark import Watermark
from consumer.core.reading.room import Room
from consumer.core.terms import Now, Offset, Ticks


class Run:
    """Tells a watermark, run by run, what of a batch is taken and what is parked."""

    def __init__(self, watermark: Watermark) -> None:
        self._watermark = watermark
        self._taken: list[Offset] = []
        self._parked: tuple[Offset, Offset] | None = None

    def take(self, offset: Offset) -> None:
        """The record at this offset is in hand."""
        self._end_parked()
        self._taken.append(offset)

    def park(self, offset: Offset) -> None:
        """The record at this offset is parked, and with it what cannot be read before it, up to a parked one."""
        self._end_taken()
        self._parked = (offset if self._parked is None else self._parked[0], Offset(offset + 1))

    def skip(self, offset: Offset) -> None:
        """The record at this offset is done already."""
        self.end()
        self._watermark.passed(Offset(offset + 1))

    def end(self) -> None:
        """Tell what is left."""
        self._end_taken()
        self._end_parked()

    def _end_taken(self) -> None:
        self._watermark.read(self._taken)
        self._taken = []

    def _end_parked(self) -> None:
        if self._parked is not None:
            self._watermark.park(*self._parked)
            self._parked = None


class Pass:
    """Reads a parked range again, piece by piece, to its end: what stays is indexed anew."""

    def __init__(self, topic: str, parked: Parked, watermark: Watermark, over: ParkedRange, now: Now) -> None:
        self._parked = parked
        self._topic = topic
        self._watermark = watermark
        self._over = over
        self._stays = parked.begin_pass(over)
        self._wanted, over.wanted = over.wanted, set()
        """Words of those who must not wait; whoever finds somebody meanwhile adds to the range's own."""
        self._again: set[int] = set()
        """Words of those who have to be looked for once more."""
        self.at = over.start
        """Up to where it has come."""
        self.began_at: Ticks = now.steady
        self.is_reading = False
        """Whether a piece of it is being read."""
        self.is_for_expired = over.expires_at <= now.wall

    def next_piece(self) -> tuple[Offset, Offset] | None:
        """Return what is to be read next, up to where it may be read at most; None at the end."""
        start = self._watermark.parked.between(self.at, self._over.stop).first
        return None if start is None else (start, self._over.stop)

    def through(
        self, records: Sequence[Record], glances: Sequence[Glance], reached: Offset, room: Room, now: Now
    ) -> list[Record]:
        """Go through a piece that holds all parked records up to `reached`; return what is taken."""
        self.is_reading = False
        reached = min(reached, self._over.stop)
        taken: list[Record] = []
        stay = OffsetRanges()
        stays_from: Offset | None = None
        for record, glance in zip(records, glances, strict=True):
            offset = Offset(record.offset)
            if self._leaves(glance, room, now):
                room.promise(glance.campaign_id, len(record.value or b""))
                taken.append(record)
                stays_from = None
                continue
            self._stays.add(glance, record.timestamp)
            stays_from = offset if stays_from is None else stays_from
            stay.add(stays_from, offset + 1)
        self._watermark.read_again(self.at, reached, [Offset(record.offset) for record in taken], stay)
        self.at = reached
        return taken

    def _leaves(self, glance: Glance, room: Room, now: Now) -> bool:
        is_wanted = not (self._wanted.isdisjoint(glance.words) and self._over.wanted.isdisjoint(glance.words))
        if is_wanted or (glance.expires_at is not None and glance.expires_at <= now.wall):
            if room.is_spent(self._topic):
                self._again.update(glance.words if is_wanted else ())
                return False
        elif not room.admits(glance.campaign_id, self._topic, now, immediate=glance.immediate):
            return False
        before = self._parked.ahead_of(glance.words, before=self._over)
        for one in before:
            one.wanted.update(glance.words)
        if before or any(map(self._stays.has, glance.words)):
            self._again.update(glance.words)
            return False
        return True

    def end(self) -> None:
        """The range was read to its end."""
        self._stays.wanted = self._again | self._over.wanted
        self._parked.end_pass(self._stays)

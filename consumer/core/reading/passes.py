"""One pass over a parked range, piece by piece: what is taken of it, what stays parked. Owns neither room nor lane."""

from collections.abc import Sequence
from enum import IntEnum

from consumer.core.event import Record
from consumer.core.journal.offset_ranges import OffsetRanges
from consumer.core.journal.parked import Parked
from consumer.core.journal.parked_range import Glance, ParkedRange
from consumer.core.journal.watermark import Watermark
from consumer.core.reading.room import Room
from consumer.core.terms import Now, Offset, Ticks

STUCK_SECONDS = 2.0
"""A piece takes milliseconds: what takes so long has no leader, or may not be read, and may take for ever."""


class ComesBackFor(IntEnum):
    """Why a parked range is read again, the gravest first."""

    WANTED = 0
    """Somebody who is due waits for one of its records."""
    EXPIRED = 1
    IMMEDIATE = 2
    """An immediate event of it has room."""
    ROOM = 3


class Pass:
    """Reads a parked range again, piece by piece, to its end: what stays is indexed anew."""

    def __init__(
        self, reason: ComesBackFor, topic: str, parked: Parked, watermark: Watermark, over: ParkedRange, now: Now
    ) -> None:
        self._parked = parked
        self._topic = topic
        self._watermark = watermark
        self._over = over
        self._stays = parked.begin_pass(over)
        self._wanted, over.wanted = over.wanted, set()
        """Words of those who must not wait; whoever finds somebody meanwhile adds to the range's own."""
        self.reason = reason
        self.lacks_room = False
        """Whether somebody who is wanted had no room, and nobody else had."""
        self._again: set[int] = set()
        """Words of those who have to be looked for once more."""
        self.began_at: Ticks = now.steady
        self.reads_since: Ticks | None = None
        """Since when a piece of it is being read; None while none is."""
        self.is_for_expired = over.expires_at <= now.wall

    def next_piece(self) -> tuple[Offset, Offset] | None:
        """Return what is to be read next, up to where it may be read at most; None at the end.

        What is parked again before that meanwhile is passed.
        """
        start = self._watermark.parked.between(self._parked.passed_to, self._over.stop).first
        if start is None:
            return None
        self._parked.passed_to = start
        return start, self._over.stop

    @property
    def is_reading(self) -> bool:
        """Whether a piece of it is being read."""
        return self.reads_since is not None

    def is_stuck(self, now: Now) -> bool:
        """Return whether the brokers do not give out what it reads."""
        return self.reads_since is not None and now.steady - self.reads_since >= STUCK_SECONDS

    def through(
        self, records: Sequence[Record], glances: Sequence[Glance], reached: Offset, room: Room, now: Now
    ) -> list[Record]:
        """Go through a piece that holds all parked records up to `reached`; return what is taken."""
        self.reads_since = None
        reached = min(reached, self._over.stop)
        taken: list[Record] = []
        stay = OffsetRanges()
        full: set[tuple[int, bool]] = set()
        since = 0
        for at, (record, glance) in enumerate(zip(records, glances, strict=True)):
            if (glance.campaign_id, glance.immediate) in full and not self._is_due(glance, now):
                continue
            if not self._has_room(glance, room, now):
                full.add((glance.campaign_id, glance.immediate))
                continue
            self._stay(records[since:at], glances[since:at], stay)
            since = at
            if not self._waits(glance):
                room.promise(glance.campaign_id, record)
                taken.append(record)
                since = at + 1
        self._stay(records[since:], glances[since:], stay)
        self._watermark.read_again(self._parked.passed_to, reached, [Offset(record.offset) for record in taken], stay)
        self._parked.passed_to = reached
        self.lacks_room = self.lacks_room and not taken
        return taken

    def _stay(self, records: Sequence[Record], glances: Sequence[Glance], stay: OffsetRanges) -> None:
        if records:
            self._stays.add(glances, records[0].timestamp)
            stay.add(records[0].offset, records[-1].offset + 1)

    def _is_wanted(self, glance: Glance) -> bool:
        return not (self._wanted.isdisjoint(glance.words) and self._over.wanted.isdisjoint(glance.words))

    def _is_due(self, glance: Glance, now: Now) -> bool:
        return (glance.expires_at is not None and glance.expires_at <= now.wall) or self._is_wanted(glance)

    def _has_room(self, glance: Glance, room: Room, now: Now) -> bool:
        if not self._is_due(glance, now):
            return room.admits(glance.campaign_id, self._topic, now, immediate=glance.immediate)
        if room.admits_due(glance.campaign_id, self._topic):
            return True
        if self._is_wanted(glance):
            self._again.update(glance.words)
            self.lacks_room = True
        return False

    def _waits(self, glance: Glance) -> bool:
        """Return whether somebody stands before it who shares its ID or its person; that one is due from now on."""
        before = self._parked.ahead_of(glance.words, before=self._over)
        for one in before:
            one.wanted.update(glance.words)
        if before or any(map(self._stays.has, glance.words)):
            self._again.update(glance.words)
            return True
        return False

    def end(self) -> None:
        """The range was read to its end."""
        self._stays.wanted = self._again | self._over.wanted
        self._parked.end_pass(self._stays)

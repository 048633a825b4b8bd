"""Journals with a long past, made fast by the code that writes real ones: segments, checkpoints, and what stands between.

The records that they speak of are few and settled; a take-over goes by what the journal says.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import xxhash

from consumer.core.journal.entries import Checkpoint, Claim, Entry, Intent, Outcome, Returned, Settled, encode
from consumer.core.journal.lane import CHECKPOINT_ENTRIES
from consumer.core.memory.deduplication import Deduplication, Recalled
from consumer.core.memory.segments import MemorySummary
from consumer.core.outcome import Response, Status, Verdict
from consumer.core.terms import Instant, JournalOffset, Offset, Partition, SendId

RECORDS: Final = 1_000
"""In each events partition, all settled."""

P0: Final = Partition("bench-history", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a partition went through."""

    sends: int
    """Single sends; each has an intent, and an outcome or a `returned`."""
    per_second: float
    settled: bool = True
    """False: an outage, in which nothing ever settles."""
    segments: bool = True
    """False: written by a version that knew none."""
    whole: bool = True
    """False: only what a take-over looks at stands there, the segments and the entries behind them."""


def entries(history: History, group: str) -> Iterator[bytes]:
    """Yield a journal partition's entries."""
    now = time.time()
    writer = _Writer(group, knows_segments=history.segments)
    yield writer.say(Claim(group=group, member="m", process="bench", version="0", claimed_at=Instant(now - 1e4)))
    begin = now - history.sends / history.per_second
    for number in range(history.sends):
        at = Instant(begin + number / history.per_second)
        stands = history.whole or history.sends - number <= CHECKPOINT_ENTRIES // 4
        yield from writer.send(number, at, settled=history.settled, stands=stands)


class _Writer:
    """An owner that writes what a real one would."""

    def __init__(self, group: str, *, knows_segments: bool) -> None:
        self._group = group
        self._knows_segments = knows_segments
        self._memory = Deduplication(ttl_seconds=3600.0, max_entries=10_000_000)
        self._memory.begin(P0, Recalled(upto=JournalOffset(0)))
        self._end = 0
        self._snapshot_at = 0

    def say(self, entry: Entry) -> bytes:
        """Return an entry as it stands at the journal's end."""
        value = encode(entry, JournalOffset(self._end))
        self._end += 1
        return value

    def send(self, number: int, at: Instant, *, settled: bool, stands: bool) -> Iterator[bytes]:
        """One send of one contact, from its intent to its end."""
        name, offset = SendId(f"{number:032x}"), Offset(number % RECORDS)
        intent = Intent(send_id=name, attempt=1, campaign_id=421, offsets=(offset,), intended_at=at)
        end: Entry = Returned(send_id=name, attempt=1, started=True)
        if settled:
            fingerprint = xxhash.xxh3_128_digest(str(number).encode())
            end = _outcome(name, offset, fingerprint, at)
            self._memory.settled(P0, [fingerprint], [offset], at)
        if stands:
            yield self.say(intent)
            yield self.say(end)
        if self._knows_segments:
            while self._memory.pack_some():
                pass
            piece = self._memory.to_write(P0, JournalOffset(self._end))
            if piece is not None:
                stood_at = JournalOffset(self._end)
                yield self.say(piece.ids)
                self._memory.written(P0, piece, stood_at)
                yield self._snapshot()
        if self._end - self._snapshot_at >= CHECKPOINT_ENTRIES:
            yield self._snapshot()

    def _snapshot(self) -> bytes:
        self._snapshot_at = self._end
        memory: MemorySummary | None = self._memory.memory(P0) if self._knows_segments else None
        checkpoint = Checkpoint(
            group=self._group,
            watermark=Offset(RECORDS),
            settled=(),
            open_attempts=(),
            tried=(),
            unpublished=None,
            mark=None,
            claim=JournalOffset(0),
            memory=memory,
        )
        return self.say(checkpoint)


def _outcome(name: SendId, offset: Offset, fingerprint: bytes, at: Instant) -> Outcome:
    verdict = Verdict(
        status=Status.ACCEPTED,
        send_id=name,
        attempts=1,
        dispatched_at=at,
        completed_at=at,
        response=Response(status=200, id=77, message="OK"),
    )
    return Outcome(
        send_id=name,
        settled=(Settled(verdict=verdict, offsets=(offset,), received=(at,), fingerprints=fingerprint),),
    )

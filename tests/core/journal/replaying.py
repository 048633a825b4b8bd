"""Reads journals in memory as a take-over does: backwards to where it begins, then forwards, slice by slice."""

from collections.abc import Sequence

from consumer.core.journal.entries import Checkpoint, Placed, Skipped, Stray, encode
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.lane import Lane, TakenOver
from consumer.core.journal.replay import Landmark, Remembering, Replay, landmark
from consumer.core.memory.segments import Segment
from consumer.core.pipeline import Pipeline
from consumer.core.policy import Policies
from consumer.core.terms import Instant, JournalOffset, Offset

Values = Sequence[tuple[JournalOffset, bytes]]
ALL_TIME = Instant(0.0)


def values_of(entries: Sequence[Placed]) -> Values:
    """Entries as they stand in the journal."""
    return [
        (placed.offset, encode(placed.entry, placed.at)) for placed in entries if not isinstance(placed.entry, Stray)
    ]


def reading(
    values: Values, *, policies: Policies | None = None, horizon: Instant = ALL_TIME, slice_entries: int = 3
) -> Replay:
    """A reading of the whole journal, begun where its landmark says."""
    first = values[0][0] if values else JournalOffset(0)
    oldest = next((offset for offset, _ in values), None)
    remembering = Remembering(horizon=horizon, oldest=oldest, policies=policies or Policies())
    replay = Replay(landmark(values), first=first, remembering=remembering)
    read = [value for value in values if value[0] >= replay.begin]
    for start in range(0, len(read), slice_entries):
        replay.feed(read[start : start + slice_entries])
    return replay


def replayed(entries: Sequence[Placed], start: int, *, skipped: Skipped | None = None) -> TakenOver:
    """What a journal says of the records from `start` on."""
    return reading(values_of(entries)).taken_over(Offset(start), skipped=skipped)


def last_checkpoint(values: Values) -> tuple[JournalOffset, Checkpoint] | None:
    """The youngest checkpoint that counts, and where it stands."""
    found: Landmark | None = landmark(values)
    return (found.at, found.entry) if found is not None and isinstance(found.entry, Checkpoint) else None


def recall(pipeline: Pipeline, lane: Lane, replay: Replay, values: Values, *, horizon: Instant = ALL_TIME) -> None:
    """Give a pipeline what a reading has made, and the segments that its checkpoint names."""
    deduplication = pipeline.deduplication
    for ids, covers_to in replay.take_packed():
        deduplication.recall(lane.partition, ids, covers_to=covers_to)
    stored = dict(values)
    refs = () if replay.memory is None else replay.memory.segments
    for ref in sorted(refs, key=lambda ref: (ref.until, ref.stands), reverse=True):
        if ref.until < horizon:
            continue
        if ref.stands not in stored or not deduplication.has_room(ref.until):
            deduplication.missed(lane.partition, ref.until)
            continue
        placed = decode(ref.stands, stored[ref.stands])
        assert placed.counts
        assert isinstance(placed.entry, Segment)
        assert len(placed.entry) == ref.count
        deduplication.recall(lane.partition, placed.entry, stands=ref.stands)

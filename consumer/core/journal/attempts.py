"""What a journal partition says about attempts: which are open, and what was tried before. Never appends.

Fed with proven entries by the owner, and with every counting entry at a take-over: one reading for both.

An attempt has a name as long as somebody may yet return it: while it is out, or called off and not written down. One whose
answer is known to be lost, or that an earlier owner has left open, is closed by nothing but the outcomes of its records.
Doubt belongs to the offset, so from then on it is a part of their histories. A checkpoint tells of those by groups, which is
why it has room for all that a full buffer has tried in vain one by one.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Container

from msgspec.structs import replace

from consumer.core.history import UNTRIED, Fate, History
from consumer.core.journal.entries import (
    Accepted,
    Checkpoint,
    Claim,
    Doubted,
    Entry,
    Intent,
    OpenAttempt,
    Outcome,
    Returned,
    Skipped,
    Tried,
)
from consumer.core.memory.segments import Segment
from consumer.core.terms import Instant, Offset, SendId

TOLD_APART = 1_000
"""Histories of tried records that a checkpoint tells apart. Where there are more, those of one span are told as one:
some 100 bytes for each of 4,500 are more than an append carries, and a take-over reads on from the last one that was made."""

SPANS_SECONDS = (1.0, 4.0, 16.0, 64.0, 256.0)
"""The shortest does that leaves no more. To the next owner, a record's attempts began with the span that its first one began
in: its age is a little more, and where nothing more is tried for it, its result says so in `dispatchedAt`."""


class Attempts:
    """The attempts of one partition's records that have no outcome yet."""

    def __init__(self) -> None:
        self._open: dict[SendId, dict[int, OpenAttempt]] = {}
        """Those that may yet be returned."""
        self._tried: dict[Offset, History] = {}
        """What came of all others: surely not delivered, or unknown for good."""
        self._shared: dict[History, History] = {}
        """Histories that were written lately: records whose are the same share one."""
        self._span_seconds: float | None = None
        """What instants are kept by; None: exactly."""
        self._most_shared = 2 * TOLD_APART
        """Where histories are more, they are looked at although no checkpoint is made: so many at once are cheap."""

    def apply(self, entry: Entry) -> None:
        """Take an entry that counts into account."""
        match entry:
            case Intent():
                self._add(
                    OpenAttempt(
                        send_id=entry.send_id,
                        attempt=entry.attempt,
                        offsets=entry.offsets,
                        intended_at=entry.intended_at,
                    )
                )
            case Returned():
                self._close(entry)
            case Outcome():
                self._settle(entry)
            case Checkpoint():
                self._begin_from(entry)
            case Accepted():
                self._open, self._tried = {}, {}
            case Claim() | Skipped() | Segment():
                pass

    def _begin_from(self, checkpoint: Checkpoint) -> None:
        self._open, self._tried = {}, {}
        groups: tuple[Tried | Doubted, ...] = (*checkpoint.tried, *checkpoint.doubted)
        for told in groups:
            self._tried.update(dict.fromkeys(told.offsets, _history_of(told)))
        for attempt in checkpoint.open_attempts:
            self._add(attempt)
            if attempt.answered:
                self.unknown(attempt.send_id, attempt.attempt, Fate.ERRED)

    def _add(self, attempt: OpenAttempt) -> None:
        self._open.setdefault(attempt.send_id, {})[attempt.attempt] = attempt

    def _close(self, returned: Returned) -> None:
        closed = self._take(returned.send_id, returned.attempt)
        if closed is not None and returned.started:
            fate = returned.fate or Fate.FAILED
            self._write(closed, lambda history: history.after(fate, closed.intended_at))

    def unknown(self, send_id: SendId, attempt: int, fate: Fate) -> None:
        """An attempt is over, and nobody will know what came of it: it is never returned."""
        closed = self._take(send_id, attempt)
        if closed is not None:
            self._write(closed, lambda history: history.with_open(closed.intended_at, fate=fate))

    def inherit(self, *, returnable: Collection[tuple[SendId, int]]) -> None:
        """The partition is ours from here on: what earlier owners have left open is unknown, as they say nothing more.

        But for those that we know to have never begun, by send and attempt: they are returned.
        """
        self._tried = self.trials(never_began=returnable)
        open_attempts, self._open = self.returnable(), {}
        for attempt in open_attempts:
            if (attempt.send_id, attempt.attempt) in returnable:
                self._add(attempt)

    def _take(self, send_id: SendId, attempt: int) -> OpenAttempt | None:
        attempts = self._open.get(send_id, {})
        taken = attempts.pop(attempt, None)
        if not attempts:
            self._open.pop(send_id, None)
        return taken

    def _write(self, closed: OpenAttempt, made: Callable[[History], History]) -> None:
        """Write an attempt's end into the histories of its records; of many records, only the span it began in."""
        before = [self._tried.get(offset, UNTRIED) for offset in closed.offsets]
        span_seconds = self._span_seconds or (SPANS_SECONDS[0] if len(self._tried) > TOLD_APART else None)
        after = {history: self._share(_told_by(made(history), span_seconds)) for history in before}
        self._tried.update(zip(closed.offsets, [after[history] for history in before], strict=True))
        if len(self._shared) > self._most_shared:
            self._bound_histories()

    def _share(self, history: History) -> History:
        return self._shared.setdefault(history, history)

    def _settle(self, outcome: Outcome) -> None:
        items = outcome.settled
        settled = items[0].offsets if len(items) == 1 else [offset for item in items for offset in item.offsets]
        if self._tried:
            for offset in settled:
                self._tried.pop(offset, None)
        if outcome.send_id is None or outcome.send_id not in self._open:
            return
        attempts = self._open[outcome.send_id]
        if all(attempt.offsets == settled for attempt in attempts.values()):
            del self._open[outcome.send_id]
            return
        gone = set(settled)
        self._keep(outcome.send_id, lambda offset: offset not in gone)

    def _keep(self, send_id: SendId, wanted: Callable[[Offset], bool]) -> None:
        attempts = self._open.pop(send_id)
        for attempt in attempts.values():
            left = tuple(offset for offset in attempt.offsets if wanted(offset))
            if left:
                self._add(replace(attempt, offsets=left))

    def prune(self, watermark: Offset, done: Container[Offset]) -> None:
        """Forget what concerns only records that are done: `done` are those above the watermark."""
        for send_id in self._sends_of(watermark, done):
            self._keep(send_id, lambda offset: offset >= watermark and offset not in done)
        for offset in [offset for offset in self._tried if offset < watermark or offset in done]:
            del self._tried[offset]

    def _sends_of(self, watermark: Offset, done: Container[Offset]) -> list[SendId]:
        """Return the sends that have open attempts of records which are done: of many mostly few."""
        return [
            send_id
            for send_id, attempts in self._open.items()
            if any(offset < watermark or offset in done for attempt in attempts.values() for offset in attempt.offsets)
        ]

    # ---------------------------------------------------------------- what is told

    def returnable(self) -> tuple[OpenAttempt, ...]:
        """Return the open attempts that have a name."""
        return tuple(attempt for attempts in self._open.values() for attempt in attempts.values())

    def snapshot(self) -> tuple[tuple[Tried, ...], tuple[Doubted, ...]]:
        """Return what was tried, by records that share a history: surely not delivered, and unknown for good."""
        self._bound_histories()
        alike: defaultdict[History, list[Offset]] = defaultdict(list)
        for offset, history in self._tried.items():
            alike[history].append(offset)
        for offsets in alike.values():
            offsets.sort()  # many short lists are sorted in half the time of a long one
        return (
            tuple(_tried(history, offsets) for history, offsets in alike.items() if not history.lost),
            tuple(_doubted(history, offsets) for history, offsets in alike.items() if history.lost),
        )

    def tell_fewer_apart(self) -> bool:
        """The last snapshot was too large for a checkpoint: tell half as many histories apart, if that can be done."""
        if len(self._tried) <= TOLD_APART:
            return False
        return self._keep_longer_spans(most=len(set(self._tried.values())) // 2)

    def _bound_histories(self) -> None:
        """Where histories are too many, keep instants less exactly from now on."""
        histories = set(self._tried.values())
        self._shared = {history: history for history in histories}
        if len(self._tried) <= TOLD_APART:
            self._span_seconds = None
        elif len(histories) > TOLD_APART:
            self._keep_longer_spans(most=TOLD_APART)
        self._most_shared = 2 * max(TOLD_APART, len(self._shared))

    def _keep_longer_spans(self, *, most: int) -> bool:
        """Keep instants by the shortest span that leaves no more histories; return False if the longest is kept already."""
        longer = [span_seconds for span_seconds in SPANS_SECONDS if span_seconds > (self._span_seconds or 0.0)]
        told = {history: history for history in self._tried.values()}
        for span_seconds in longer:
            self._span_seconds, self._shared = span_seconds, {}
            told = {history: self._share(_told_by(history, span_seconds)) for history in told}
            if len(self._shared) <= most:
                break
        if longer:
            self._tried = {offset: told[history] for offset, history in self._tried.items()}
        return bool(longer)

    def trials(self, *, never_began: Collection[tuple[SendId, int]] = ()) -> dict[Offset, History]:
        """Return what was tried, by record. An open attempt has an unknown fate; its answer is lost with its owner.

        Those that are known to have never begun, by send and attempt, count for nothing.
        """
        trials = dict(self._tried)
        for attempt in self.returnable():
            if (attempt.send_id, attempt.attempt) in never_began:
                continue
            before = [trials.get(offset, UNTRIED) for offset in attempt.offsets]
            after = {history: history.with_open(attempt.intended_at, fate=Fate.LOST) for history in before}
            trials.update(zip(attempt.offsets, [after[history] for history in before], strict=True))
        return trials


def _history_of(told: Tried | Doubted) -> History:
    match told:
        case Tried():
            return History(
                attempts=told.attempts,
                counted=told.counted,
                first_tried_at=None if told.excused else told.first_tried_at,
                last_tried_at=told.first_tried_at,
            )
        case Doubted():
            return History(
                attempts=told.attempts,
                counted=told.counted,
                lost=told.lost,
                answers_lost=told.answers_lost,
                doubt=told.doubt,
                first_tried_at=told.first_tried_at,
                last_tried_at=told.last_tried_at,
            )


def _tried(history: History, offsets: list[Offset]) -> Tried:
    return Tried(
        offsets=tuple(offsets),
        attempts=history.attempts,
        counted=history.counted,
        first_tried_at=_told_at(history),
        excused=history.first_tried_at is None,
    )


def _doubted(history: History, offsets: list[Offset]) -> Doubted:
    assert history.doubt is not None
    assert history.first_tried_at is not None
    assert history.last_tried_at is not None
    return Doubted(
        offsets=tuple(offsets),
        attempts=history.attempts,
        counted=history.counted,
        lost=history.lost,
        answers_lost=history.answers_lost,
        doubt=history.doubt,
        first_tried_at=history.first_tried_at,
        last_tried_at=history.last_tried_at,
    )


def _told_at(history: History) -> Instant:
    """Return the instant that stands for a history: where the age counts from nothing, the last."""
    at = history.last_tried_at if history.first_tried_at is None else history.first_tried_at
    assert at is not None
    return at


def _told_by(history: History, span_seconds: float | None) -> History:
    """Return a history with the beginning of the span that it stands in; None: as it is."""
    if span_seconds is None:
        return history
    at = Instant(_told_at(history) // span_seconds * span_seconds)
    return replace(history, first_tried_at=None if history.first_tried_at is None else at, last_tried_at=at)

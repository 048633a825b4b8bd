"""What a journal partition says about attempts: which are open, and what was tried before. Never appends.

Fed with proven entries by the owner, and with every counting entry at a take-over: one reading for both.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from math import floor

from consumer.core.history import UNTRIED, Fate, History
from consumer.core.journal import (
    Accepted,
    Checkpoint,
    Claim,
    Entry,
    Intent,
    OpenAttempt,
    Outcome,
    Returned,
    Skipped,
    Tried,
)
from consumer.core.segments import Segment
from consumer.core.terms import Instant, Offset, SendId

TOLD_APART = 1_000
"""Histories of tried records that a checkpoint tells apart. Where there are more, those of one second are told as one:
some 80 bytes for each of 6,000 are more than an append carries, and a take-over reads on from the last one that was made."""

Summary = tuple[int, int, Instant, bool]
"""What a checkpoint says of requests that were surely not delivered."""


class Attempts:
    """The open attempts of one partition, and the returned ones of records that have no outcome yet."""

    def __init__(self) -> None:
        self._open: dict[SendId, dict[int, OpenAttempt]] = {}
        self._tried: dict[Offset, History] = {}

    def apply(self, entry: Entry) -> None:
        """Take an entry that counts into account."""
        match entry:
            case Claim() | Skipped() | Segment():
                pass
            case Accepted():
                self._open, self._tried = {}, {}
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
                self._open = {}
                for attempt in entry.open_attempts:
                    self._add(attempt)
                self._tried = {}
                for tried in entry.tried:
                    self._tried.update(dict.fromkeys(tried.offsets, _of_tried(tried)))

    def _add(self, attempt: OpenAttempt) -> None:
        self._open.setdefault(attempt.send_id, {})[attempt.attempt] = attempt

    def _close(self, returned: Returned) -> None:
        attempts = self._open.get(returned.send_id, {})
        closed = attempts.pop(returned.attempt, None)
        if not attempts:
            self._open.pop(returned.send_id, None)
        if closed is None or not returned.started:
            return
        before = [self._tried.get(offset, UNTRIED) for offset in closed.offsets]
        after = {history: history.after(returned.fate or Fate.FAILED, closed.intended_at) for history in before}
        self._tried.update(zip(closed.offsets, [after[history] for history in before], strict=True))

    def erred(self, send_id: SendId, attempt: int) -> None:
        """An open attempt was answered, though its fate is unknown: a checkpoint says so to the next owner."""
        attempts = self._open.get(send_id, {})
        if attempt in attempts:
            attempts[attempt] = replace(attempts[attempt], answered=True)

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

    def prune(self, watermark: Offset, done: Iterable[Offset]) -> None:
        """Forget what concerns only records that are done: `done` are those above the watermark."""
        gone = set(done)

        def wanted(offset: Offset) -> bool:
            return offset >= watermark and offset not in gone

        for send_id in self._sends_of(watermark, gone):
            self._keep(send_id, wanted)
        self._tried = {offset: tried for offset, tried in self._tried.items() if wanted(offset)}

    def _sends_of(self, watermark: Offset, done: Collection[Offset]) -> list[SendId]:
        """Return the sends that have open attempts of records which are done: of many mostly few."""
        return [
            send_id
            for send_id, attempts in self._open.items()
            if any(offset < watermark or offset in done for attempt in attempts.values() for offset in attempt.offsets)
        ]

    def snapshot(self) -> tuple[tuple[OpenAttempt, ...], tuple[Tried, ...]]:
        """Return the open attempts and the tried records, for a checkpoint."""
        alike = self._alike()
        return (
            tuple(attempt for attempts in self._open.values() for attempt in attempts.values()),
            tuple(
                Tried(
                    offsets=tuple(offsets), attempts=attempts, counted=counted, first_tried_at=first_at, excused=excused
                )
                for (attempts, counted, first_at, excused), offsets in alike.items()
            ),
        )

    def _alike(self) -> dict[Summary, list[Offset]]:
        """Return the tried records, sorted, by what a checkpoint says of them."""
        summary = _summary if len(set(self._tried.values())) <= TOLD_APART else _rough_summary
        alike: dict[Summary, list[Offset]] = {}
        for offset in sorted(self._tried):
            alike.setdefault(summary(self._tried[offset]), []).append(offset)
        return alike

    def trials(self, *, never_began: Collection[tuple[SendId, int]] = ()) -> dict[Offset, History]:
        """Return what was tried, by record. An open attempt has an unknown fate; its answer is lost with its owner.

        Those that are known to have never begun, by send and attempt, count for nothing.
        """
        trials = dict(self._tried)
        for attempts in self._open.values():
            for attempt in attempts.values():
                if (attempt.send_id, attempt.attempt) in never_began:
                    continue
                fate = Fate.ERRED if attempt.answered else Fate.LOST
                before = [trials.get(offset, UNTRIED) for offset in attempt.offsets]
                after = {history: history.with_open(attempt.intended_at, fate=fate) for history in before}
                trials.update(zip(attempt.offsets, [after[history] for history in before], strict=True))
        return trials


def _of_tried(tried: Tried) -> History:
    return History(
        attempts=tried.attempts,
        counted=tried.counted,
        first_tried_at=None if tried.excused else tried.first_tried_at,
        last_tried_at=tried.first_tried_at,
    )


def _summary(history: History) -> Summary:
    excused = history.first_tried_at is None
    first_at = history.last_tried_at if history.first_tried_at is None else history.first_tried_at
    assert first_at is not None
    return (history.attempts, history.counted, first_at, excused)


def _rough_summary(history: History) -> Summary:
    attempts, counted, first_at, excused = _summary(history)
    return (attempts, counted, Instant(floor(first_at)), excused)

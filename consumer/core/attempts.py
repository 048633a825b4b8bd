"""What a journal partition says about attempts: which are open, and what was tried before. Never appends.

Fed with proven entries by the owner, and with every counting entry at a take-over: one reading for both.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

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
from consumer.core.terms import Instant, Offset, SendId


@dataclass(slots=True)
class Trials:
    """What was tried for one record before: `lost` of the attempts may have reached the platform."""

    attempts: int
    lost: int
    first_tried_at: Instant


class Attempts:
    """The open attempts of one partition, and the returned ones of records that have no outcome yet."""

    def __init__(self) -> None:
        self._open: dict[SendId, dict[int, OpenAttempt]] = {}
        self._tried: dict[Offset, tuple[int, Instant]] = {}

    def apply(self, entry: Entry) -> None:
        """Take an entry that counts into account."""
        match entry:
            case Claim() | Skipped():
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
                self._tried = {
                    offset: (tried.attempts, tried.first_tried_at) for tried in entry.tried for offset in tried.offsets
                }

    def _add(self, attempt: OpenAttempt) -> None:
        self._open.setdefault(attempt.send_id, {})[attempt.attempt] = attempt

    def _close(self, returned: Returned) -> None:
        attempts = self._open.get(returned.send_id, {})
        closed = attempts.pop(returned.attempt, None)
        if not attempts:
            self._open.pop(returned.send_id, None)
        if closed is None or not returned.started:
            return
        for offset in closed.offsets:
            count, first_at = self._tried.get(offset, (0, closed.intended_at))
            self._tried[offset] = (count + 1, first_at)

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
                self._add(
                    OpenAttempt(
                        send_id=send_id,
                        attempt=attempt.attempt,
                        offsets=left,
                        intended_at=attempt.intended_at,
                    )
                )

    def prune(self, watermark: Offset, done: Iterable[Offset]) -> None:
        """Forget what concerns only records that are done: `done` are those above the watermark."""
        gone = set(done)

        def wanted(offset: Offset) -> bool:
            return offset >= watermark and offset not in gone

        for send_id in list(self._open):
            self._keep(send_id, wanted)
        self._tried = {offset: tried for offset, tried in self._tried.items() if wanted(offset)}

    def snapshot(self) -> tuple[tuple[OpenAttempt, ...], tuple[Tried, ...]]:
        """Return the open attempts and the tried records, for a checkpoint."""
        alike: dict[tuple[int, Instant], list[Offset]] = {}
        for offset, tried in sorted(self._tried.items()):
            alike.setdefault(tried, []).append(offset)
        return (
            tuple(attempt for attempts in self._open.values() for attempt in attempts.values()),
            tuple(
                Tried(offsets=tuple(offsets), attempts=count, first_tried_at=first_at)
                for (count, first_at), offsets in alike.items()
            ),
        )

    def trials(self) -> dict[Offset, Trials]:
        """Return what was tried, by record: an open attempt counts as started and as lost."""
        trials = {
            offset: Trials(attempts=count, lost=0, first_tried_at=first_at)
            for offset, (count, first_at) in self._tried.items()
        }
        for attempts in self._open.values():
            for attempt in attempts.values():
                for offset in attempt.offsets:
                    known = trials.setdefault(offset, Trials(0, 0, attempt.intended_at))
                    known.attempts += 1
                    known.lost += 1
                    known.first_tried_at = min(known.first_tried_at, attempt.intended_at)
        return trials

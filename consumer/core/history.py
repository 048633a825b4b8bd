"""What has been tried for an event, over all its sends, requests and owners. The budgets count here and nowhere else.

A history travels with its event: into halves, into another send, and by the journal to the partition's next owner.
It is never changed; an attempt makes another one of it. Events that went the same way share one.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, final

import msgspec
from msgspec.structs import replace

from consumer.core.outcome import Reason
from consumer.core.terms import Instant


class Fate(StrEnum):
    """What an attempt came to, as far as the budgets go. The journal spells the first three like this."""

    EXCUSED = "excused"
    """Surely not delivered, for a reason that is not its own (nothing may settle yet): no budget is spent."""
    PUT_OFF = "put_off"
    """Surely not delivered, for want of time or patience at the platform: its age counts, the attempt does not."""
    FAILED = "failed"
    """Surely not delivered."""
    ERRED = "erred"
    """Answered by somebody who may speak for a platform that did send: unknown."""
    LOST = "lost"
    """No complete head came after its first byte, or its owner was lost: unknown."""

    @property
    def is_unknown(self) -> bool:
        """Whether a text may have gone out: the attempt stays open in the journal."""
        return self in (Fate.ERRED, Fate.LOST)


DOUBT_OF: Final = {Fate.ERRED: Reason.SERVER_ERROR, Fate.LOST: Reason.ANSWER_LOST}


@final
class History(msgspec.Struct, frozen=True, cache_hash=True, kw_only=True, gc=False):
    """The attempts before now. A C struct that knows its hash: a look at a send's members is cheap."""

    attempts: int = 0
    """Requests that were really started, or may have been."""
    counted: int = 0
    """Those of them that `MAX_ATTEMPTS` is about."""
    lost: int = 0
    """Those whose fate is unknown. More than none: whatever comes is marked, and doubt dominates."""
    answers_lost: int = 0
    """Those of the unknown ones that brought no complete head: what `LOST_ANSWER_REPEATS` is about."""
    doubt: Reason | None = None
    """Why the last of the unknown ones is unknown."""
    first_tried_at: Instant | None = None
    """The first attempt that `MAX_AGE` counts from; None where none does."""
    last_tried_at: Instant | None = None

    def after(self, fate: Fate, started_at: Instant | None) -> "History":
        """Return the history with one more attempt; `started_at` None: no byte of it went out, so nothing counts."""
        if started_at is None:
            return self
        first = self.first_tried_at
        if fate is not Fate.EXCUSED:
            first = started_at if first is None else min(first, started_at)
        return History(
            attempts=self.attempts + 1,
            counted=self.counted + (fate not in (Fate.EXCUSED, Fate.PUT_OFF)),
            lost=self.lost + fate.is_unknown,
            answers_lost=self.answers_lost + (fate is Fate.LOST),
            doubt=DOUBT_OF.get(fate, self.doubt),
            first_tried_at=first,
            last_tried_at=started_at,
        )

    def with_open(self, intended_at: Instant, *, fate: Fate) -> "History":
        """Return the history with an attempt that the journal leaves open; it began at `intended_at` or later."""
        later = self.after(fate, intended_at)
        return replace(later, doubt=Reason.OWNER_LOST) if fate is Fate.LOST else later


UNTRIED: Final = History()
"""The history of every event that has none."""


def earliest_try(histories: Iterable[History]) -> Instant | None:
    """Return the first attempt in some histories that `MAX_AGE` counts from, None where none does."""
    return min([one.first_tried_at for one in histories if one.first_tried_at is not None], default=None)

"""Attempts that wait for their proof, and until when. Calls none off: it says which are to be.

All wait equally long, so the first that began is the first that is overdue: a turn looks at that one alone.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from consumer.core.sending.send import Send, SendStage
from consumer.core.terms import Now, Ticks

PROVE_WITHIN_SECONDS = 2.0
"""Members whose intent is not proven by then go back: their partition is unsure."""


class Proofs:
    """What is waited for."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Send, int]] = deque()
        self._torn: list[Send] = []

    def wait(self, send: Send, now: Now) -> None:
        """Wait for the proofs of a send's new attempt."""
        send.prove_by = Ticks(now.steady + PROVE_WITHIN_SECONDS)
        self._waiting.append((send, send.attempt))

    def tear(self, sends: Iterable[Send]) -> None:
        """Take note of sends that wait for a proof which a dropped partition cannot bring."""
        self._torn += [send for send in sends if send.stage is SendStage.PROVING]

    def next_due_at(self) -> Ticks | None:
        """Return when the first proof is overdue, None where none is waited for."""
        waiting = self._waiting
        while waiting and not _still_waits(*waiting[0]):
            waiting.popleft()
        return waiting[0][0].prove_by if waiting else None

    def in_vain(self, now: Now) -> Iterator[Send]:
        """Yield the sends that have waited too long, or cannot be proven: each is to be called off at once."""
        torn, self._torn = self._torn, []
        yield from (send for send in torn if send.stage is SendStage.PROVING)
        while (due_at := self.next_due_at()) is not None and due_at <= now.steady:
            yield self._waiting.popleft()[0]


def _still_waits(send: Send, attempt: int) -> bool:
    return send.stage is SendStage.PROVING and send.attempt == attempt

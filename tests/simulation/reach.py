"""What the worlds must come to: every fault, answer, turn and change of state. Says what one world has reached."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from consumer.core.event import Event
from consumer.core.journal.lane import Lane
from consumer.core.journal.ledger import NEXT as STANDINGS
from consumer.core.journal.ledger import Ledger
from consumer.core.journal.parked_range import FromHand
from consumer.core.sending.send import NEXT as STAGES
from consumer.core.sending.send import Send
from tests.simulation.blows import BLOWS
from tests.simulation.faults import FATES
from tests.simulation.play import play_seeds

ANSWERS = {
    f"answer {status}"
    for status in (200, 302, 400, 401, 402, 403, 404, 407, 408, 422, 425, 429, 500, 502, 503, 504, "lost")
}
TURNS = {
    "campaign_refused",
    "probe_failed",
    "commit_rewound",
    "commit_skipped",
    "dispatch_narrowed",
    "dispatch_resumed",
    "dispatch_stopped",
    "drained",
    "foreign_claims",
    "interrupted",
    "journal_strays",
    "journal_void",
    "partition_lost",
    "partition_stopped",
    "partitions_revoked",
    "possible_duplicates",
    "no connection yet",
    "records_lost",
    "send_split",
    "stopped",
    "writes_refused",
    "writes_taken",
    "withheld EXPIRED",
    "withheld NOT_OURS",
    "withheld STOPPED",
    "withheld STALE_PROOF",
}
STATUSES = {"accepted", "cancelled", "rejected", "failed", "expired", "duplicate", "invalid", "in_doubt"}
WANTED = frozenset(
    {
        *(*BLOWS, *FATES, *ANSWERS, *TURNS),
        *(f"result {status}" for status in STATUSES),
        *(f"parked again: {what}" for what in ("alone", "tried", "in a pass")),
        *((Ledger, old, new) for old, following in STANDINGS.items() for new in following),
        *((Send, old, new) for old, following in STAGES.items() for new in following),
    }
)


def reached_in(seed: int) -> set[Any]:
    """Play a world and return what of all this it comes to.

    Raises:
        BrokenPromiseError: it breaks a promise.
    """
    with _watched() as changes:
        tally = play_seeds([seed])
    return {*tally.reached, *(f"result {status}" for status in tally.statuses), *changes} & WANTED


@contextmanager
def _watched() -> Iterator[set[Any]]:
    """Note each change of state on its way."""
    changes: set[Any] = set()

    def watch(owner: type, move: Callable[[Any, Any], None], state: str) -> Callable[[Any, Any], None]:
        def moved(self: Any, new: Any) -> None:
            changes.add((owner, getattr(self, state), new))
            move(self, new)

        return moved

    def parked_again(lane: Lane, events: Sequence[Event], records: Sequence[FromHand]) -> None:
        passing = lane.parked.passing
        changes.add("parked again: alone")
        if any(event.history.attempts for event in events):
            changes.add("parked again: tried")
        if passing is not None and any(passing.start <= event.offset < passing.stop for event in events):
            changes.add("parked again: in a pass")
        park_again(lane, events, records)

    park_again = Lane.park_again
    ledger, send = Ledger._move, Send.move  # noqa: SLF001  # where a partition's and a send's states change
    Ledger._move = watch(Ledger, ledger, "standing")  # type: ignore[assignment, method-assign]  # noqa: SLF001
    Lane.park_again = parked_again  # type: ignore[assignment, method-assign]
    Send.move = watch(Send, send, "stage")  # type: ignore[assignment, method-assign]
    try:
        yield changes
    finally:
        Lane.park_again = park_again  # type: ignore[method-assign]
        Ledger._move, Send.move = ledger, send  # type: ignore[method-assign]  # noqa: SLF001

"""The worlds reach everything that can go wrong, and every state that a partition or a send can be in."""

from collections.abc import Callable
from typing import Any

import pytest

from consumer.core.journal.ledger import NEXT as STANDINGS
from consumer.core.journal.ledger import Ledger
from consumer.core.sending.send import NEXT as STAGES
from consumer.core.sending.send import Send
from tests.simulation.faults import FATES
from tests.simulation.play import Tally, play_seeds
from tests.simulation.scenario import BLOWS

WORLDS = 5_000
"""At most; it ends as soon as all of it was reached."""

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
    "withheld STALE_PROOF",
}
STATUSES = {"accepted", "rejected", "failed", "expired", "duplicate", "invalid", "in_doubt"}


def watched(move: Callable[[Any, Any], None], state: str, seen: set[tuple[Any, Any]]) -> Callable[[Any, Any], None]:
    """Note each change of state on its way."""

    def moved(self: Any, new: Any) -> None:
        seen.add((getattr(self, state), new))
        move(self, new)

    return moved


def test_every_fault_every_answer_and_every_change_of_state_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    standings: set[tuple[Any, Any]] = set()
    stages: set[tuple[Any, Any]] = set()
    monkeypatch.setattr(Ledger, "_move", watched(Ledger._move, "standing", standings))  # noqa: SLF001
    monkeypatch.setattr(Send, "move", watched(Send.move, "stage", stages))
    tally = Tally()
    for seed in range(WORLDS):
        play_seeds([seed], tally)
        if not unreached(tally, standings, stages):
            break
    assert unreached(tally, standings, stages) == set()


def unreached(tally: Tally, standings: set[tuple[Any, Any]], stages: set[tuple[Any, Any]]) -> set[Any]:
    """Return what no world has come to so far."""
    return (
        ({*BLOWS, *FATES, *ANSWERS, *TURNS} - tally.reached.keys())
        | (STATUSES - tally.statuses.keys())
        | ({(old, new) for old, following in STANDINGS.items() for new in following} - standings)
        | ({(old, new) for old, following in STAGES.items() for new in following} - stages)
    )

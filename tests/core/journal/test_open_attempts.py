"""How many attempts a kill leaves open: at whatever entry the journal ends."""

import random
from collections.abc import Iterable

import pytest

from consumer.core.journal.attempts import Attempts
from consumer.core.journal.entries import Checkpoint, Placed, Stray
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.sending.proofs import PROVE_WITHIN_SECONDS
from consumer.core.terms import Partition
from tests.core.runner import OK, Runner


def most_open(entries: Iterable[Placed]) -> int:
    """How many attempts were open at once, at most, wherever the journal might have ended."""
    attempts, most = Attempts(), 0
    for placed in entries:
        if not isinstance(placed.entry, Checkpoint | Stray):
            attempts.apply(placed.entry)
        most = max(most, len(attempts.returnable()))
    return most


@pytest.mark.parametrize(
    "silent_seconds, at_most", [(0.0, 4), (PROVE_WITHIN_SECONDS / 2, 4), (1.5 * PROVE_WITHIN_SECONDS, 2 * 4)]
)
def test_a_kill_at_any_entry_leaves_no_more_attempts_open_than_there_are_slots(
    silent_seconds: float, at_most: int
) -> None:
    """Of a journal that is silent for longer than a proof is waited for: those that were called off meanwhile, too."""
    dice = random.Random(3)
    partitions = [Partition("events", number) for number in range(3)]
    runner = Runner(
        policies=Policies(
            default=CampaignPolicy(max_contacts=10, window_seconds=0.2), max_concurrency=4, reserved_concurrency=0
        ),
        platform=lambda _request: (OK, dice.uniform(0.01, 0.3)),
        partitions=partitions,
    )
    for batch in range(8):
        for partition in partitions:
            people = range(1_000 * batch + 100 * partition.number, 1_000 * batch + 100 * partition.number + 50)
            events = [runner.event(campaignId=1 + person % 4, phone=f"+346{person:08}") for person in people]
            runner.feed(*events, partition=partition)
        runner.run(until=runner.time + 0.3)
        if batch == 4 and silent_seconds:
            runner.sick.add(partitions[0])
            runner.run(until=runner.time + silent_seconds)
            runner.heal(partitions[0])
    runner.run()
    assert len(runner.results) == 8 * 3 * 50
    most = [most_open(runner.entries(partition)) for partition in partitions]
    assert 4 <= most[0] <= at_most, "every slot was taken"
    assert max(most[1:]) <= 4

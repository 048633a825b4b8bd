"""Rules of reading ahead, each broken on purpose: what the simulation must be able to see. Repairs nothing."""

from tests.simulation.mutating import Mutation, mutation
from tests.simulation.styles import PARKED_FROM

CORE = "consumer.core"

PARKED_MUTATIONS: tuple[Mutation, ...] = (
    mutation(
        "the watermark stops at what is parked",
        (f"{CORE}.journal.watermark:Watermark.value", "reached if first is None else min(reached, first)", "reached"),
        first_seed=PARKED_FROM,
    ),
    mutation(
        "a checkpoint calls nothing settled that is parked",
        (
            f"{CORE}.journal.watermark:Watermark.done_above",
            "merge(zip(told, told, strict=True), self.parked)",
            "merge(zip(told, told, strict=True), ())",
        ),
        first_seed=PARKED_FROM,
    ),
    mutation(
        "what comes back is parked no more",
        (f"{CORE}.journal.watermark:Watermark.read_again", "self.parked.cut(start, stop)", "pass"),
        first_seed=PARKED_FROM,
    ),
    mutation(
        "what is settled above the watermark is not parked",
        (f"{CORE}.reading.read_ahead:ReadAhead.take", "if published and record.offset in published:", "if False:"),
        first_seed=PARKED_FROM,
    ),
    mutation(
        "an event does not overtake an earlier one of its person that is parked",
        (
            f"{CORE}.reading.read_ahead:ReadAhead._comes",
            "parked.ahead_of(glance.words)",
            "parked.ahead_of(glance.words[:1])",
        ),
        first_seed=PARKED_FROM,
    ),
    mutation(
        "of two records of one ID the earlier wins although it is parked",
        (
            f"{CORE}.reading.read_ahead:ReadAhead._comes",
            "parked.ahead_of(glance.words)",
            "parked.ahead_of(glance.words[1:])",
        ),
        first_seed=PARKED_FROM,
    ),
    mutation(
        "what comes back overtakes nobody who stays parked",
        (
            f"{CORE}.reading.passes:Pass._waits",
            "if before or any(map(self._stays.has, glance.words)):",
            "if False:",
        ),
        first_seed=PARKED_FROM,
    ),
    mutation(
        "what stays parked is found by whoever comes later",
        (f"{CORE}.journal.parked:Parked.ahead_of", "if group.may_have(words):", "if False:"),
        first_seed=PARKED_FROM,
    ),
    mutation(
        "a full buffer takes no immediate event either",
        (f"{CORE}.reading.room:Room.admits", "if free < 1.0:", "if False:"),
        (f"{CORE}.reading.room:Room.admits_due", "free >= 1.0 and self._here(campaign_id) < DUE_SHARE * free", "True"),
        first_seed=PARKED_FROM,
    ),
)

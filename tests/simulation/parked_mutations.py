"""Rules of reading ahead, each broken on purpose: what the simulation must be able to see. Repairs nothing."""

from tests.simulation.mutating import Mutation, mutation
from tests.simulation.styles import PARKED_AGAIN_FROM, PARKED_FROM

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
    mutation(
        "what is parked again waits in no send any more",
        (
            f"{CORE}.reading.parking_again:ParkingAgain._park",
            "place.keep([event for event in members if id(event) not in leaving])",
            "pass",
        ),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "what is parked again is read again",
        (f"{CORE}.journal.lane:Lane.park_again", "self.parked.add_again(records)", "pass"),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "the watermark stops at what is parked again",
        (f"{CORE}.journal.watermark:Watermark.park_again", "self.parked.add(start, stop)", "pass"),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "what is in hand once more is waited for where it stands",
        (f"{CORE}.journal.watermark:Watermark.read_again", "if offset in self._away:", "if False:"),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "what is parked again repeats itself not",
        (f"{CORE}.journal.lane:Lane.park_again", "del self.in_hand[event.fingerprint]", "pass"),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "what was tried and is parked again keeps its history",
        (f"{CORE}.journal.lane:Lane.park_again", "self.trials[event.offset] = event.history", "pass"),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "nobody overtakes what is parked again",
        (
            f"{CORE}.reading.parking_again:ParkingAgain._leave",
            "glance_of(event))",
            "glance_of(event)._replace(words=()))",
        ),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "who waits behind what is parked again goes along",
        (
            f"{CORE}.reading.parking_again:ParkingAgain._clear_behind",
            "while len(queue) > 1:",
            "while len(queue) > 2:",
        ),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "who goes along waits nowhere else",
        (f"{CORE}.reading.parking_again:ParkingAgain._clear_behind", "waiters.forget([last])", "pass"),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "what is parked again before a piece that is being read stays parked",
        (f"{CORE}.reading.passes:Pass.next_piece", "self._parked.passed_to = start", "pass"),
        first_seed=PARKED_AGAIN_FROM,
    ),
    mutation(
        "of what is parked again, what another campaign repeats stays",
        (f"{CORE}.reading.parking_again:ParkingAgain._park", "if self._clear_behind(event, now)", ""),
        first_seed=PARKED_AGAIN_FROM,
    ),
)

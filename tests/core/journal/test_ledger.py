"""The one writer of a journal partition, proven by the log itself, against a log that loses and delays.

The model knows one rule: an entry counts only where it says it stands. Everything else follows, or the test fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.journal.entries import Accepted, Checkpoint, Entry, Placed, Returned
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.ledger import MAX_APPEND_BYTES, Draft, Fit, Ledger, OwnershipState
from consumer.core.terms import Instant, JournalOffset, Offset, SendId
from tests.core.makers import make_claim

Fact = Callable[[], None]


@dataclass(eq=False)
class Owner:
    """A process that believes it may write, with what it was told."""

    name: str
    log: "Log"
    said: int = 0
    proven: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(lambda: make_claim(self.name), self.name)
        self.ledger.may_claim()

    def say(self) -> None:
        self.said += 1
        entry = Returned(send_id=SendId(f"{self.name}:{self.said}"), attempt=1, started=False)
        self.ledger.add(entry, entry.send_id)

    @property
    def at_rest(self) -> bool:
        ledger = self.ledger
        return ledger.standing is OwnershipState.LOST or (ledger.standing is OwnershipState.OWNED and ledger.idle)

    def note(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            assert draft.landed_at is not None
            self.proven.append((str(draft.token), draft.landed_at))


@dataclass(eq=False)
class Log:
    """A journal partition, and everything that is on its way to and from it."""

    random: Random
    unreliable: bool = True
    entries: list[bytes] = field(default_factory=list)
    flying: list[Fact] = field(default_factory=list)

    def roll(self, chance: float) -> bool:
        return self.unreliable and self.random.random() < chance

    def turn(self, owner: Owner) -> None:
        """Let an owner hand out what it wants done."""
        values = owner.ledger.next_append(list)
        if values:
            self._send(owner, values)
        if owner.ledger.gap is not None:
            gap, owner.ledger.gap = owner.ledger.gap, None
            self.flying.append(lambda: owner.note(owner.ledger.gap_read(self.read(gap.start, gap.stop))))
        if owner.ledger.standing is OwnershipState.TAKING_OVER:
            owner.ledger.taken_over()

    def _send(self, owner: Owner, values: list[bytes]) -> None:
        fails = self.roll(0.25)
        never = fails and self.roll(0.4)
        late = fails and self.roll(0.5)

        def land(then: Callable[[int], None]) -> None:
            base = len(self.entries)
            if not never:
                self.entries.extend(values)
            then(base)

        def acknowledge(base: int) -> None:
            self.flying.append(lambda: owner.note(owner.ledger.acknowledged(JournalOffset(base))))

        if late:  # it was given up on before it landed, which may be after the owner has claimed anew
            self.flying.append(owner.ledger.failed)
            self.flying.append(partial(land, lambda _base: None))
        elif fails:
            self.flying.append(partial(land, lambda _base: self.flying.append(owner.ledger.failed)))
        else:
            self.flying.append(partial(land, acknowledge))

    def arrive(self) -> None:
        self.flying.pop(self.random.randrange(len(self.flying)))()

    def read(self, start: int, stop: int) -> list[Placed]:
        return [decode(JournalOffset(start + step), value) for step, value in enumerate(self.entries[start:stop])]

    def settle(self, owners: list[Owner]) -> None:
        """Let everything arrive, and everybody say and hear what is left, without faults."""
        self.unreliable = False
        for _ in range(200):
            for owner in owners:
                self.turn(owner)
            while self.flying:
                self.arrive()
            if all(owner.at_rest for owner in owners):
                return
        raise AssertionError([owner.ledger.standing for owner in owners])


def raw(log: Log) -> list[dict[str, Any]]:
    return [orjson.loads(value) for value in log.entries]


def owner_before(entries: list[dict[str, Any]], offset: int) -> str | None:
    claims = [entry["process"] for entry in entries[:offset] if entry["kind"] == "claim"]
    return claims[-1] if claims else None


def counting(entries: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """The model: what counts, and where."""
    return [
        (entry["send"], offset)
        for offset, entry in enumerate(entries)
        if entry["kind"] == "returned" and entry["at"] == offset
    ]


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 3), steps=st.integers(5, 120))
def test_whoever_writes_what_counts_is_the_owners_and_the_owner_knows_exactly_what_counts(
    seed: int, count: int, steps: int
) -> None:
    log = Log(Random(seed))
    owners: list[Owner] = [Owner("owner-0", log)]
    dice = log.random
    for _ in range(steps):
        if len(owners) < count and dice.random() < 0.1:
            owners.append(Owner(f"owner-{len(owners)}", log))
        if dice.random() < 0.4:
            dice.choice(owners).say()
        if log.flying and dice.random() < 0.5:
            log.arrive()
        else:
            log.turn(dice.choice(owners))
    log.settle(owners)
    for owner in owners:  # whoever has lost finds out with the next thing that he says
        if owner.ledger.standing is OwnershipState.OWNED:
            owner.say()
    log.settle(owners)

    entries = raw(log)
    valid = counting(entries)
    for said, offset in valid:
        assert owner_before(entries, offset) == said.split(":")[0], "an entry counts that its writer did not own"
    proven = [each for owner in owners for each in owner.proven]
    assert set(proven) <= set(valid), "something is proven that does not count"
    assert len(proven) == len(set(proven))
    sure = [owner for owner in owners if owner.ledger.standing is OwnershipState.OWNED]
    assert len(sure) <= 1
    assert all(owner.ledger.standing is OwnershipState.LOST for owner in owners if owner not in sure)
    for owner in sure:
        assert owner_before(entries, len(entries)) == owner.name
        assert [said for said, _ in owner.proven] == [f"{owner.name}:{each + 1}" for each in range(owner.said)]
        mine = [said for said, _ in valid if said.startswith(owner.name)]
        assert mine == [said for said, _ in owner.proven], "what counts is not what the owner knows of, in its order"


def owned(base: int = 0) -> Ledger:
    """A ledger that has claimed at `base`, and taken over."""
    ledger = Ledger(lambda: make_claim("me"), "me")
    ledger.may_claim()
    assert len(ledger.next_append(list)) == 1
    ledger.acknowledged(JournalOffset(base))
    ledger.taken_over()
    return ledger


def said(name: str, attempt: int = 1) -> Returned:
    return Returned(send_id=SendId(name), attempt=attempt, started=False)


def values_of(ledger: Ledger) -> list[dict[str, Any]]:
    return [orjson.loads(value) for value in ledger.next_append(list)]


def test_what_becomes_ready_while_an_append_is_out_rides_on_the_next_one() -> None:
    ledger = owned()
    ledger.add(said("a"), "a")
    assert [(value["send"], value["at"]) for value in values_of(ledger)] == [("a", 1)]
    ledger.add(said("b"), "b")
    ledger.add(said("c"), "c")
    assert values_of(ledger) == []
    assert [draft.token for draft in ledger.acknowledged(JournalOffset(1))] == ["a"]
    assert [(value["send"], value["at"]) for value in values_of(ledger)] == [("b", 2), ("c", 3)]


def test_an_append_that_landed_behind_a_predecessors_void_entries_is_made_again_and_nothing_of_it_is_proven() -> None:
    ledger = owned(base=4)
    ledger.add(said("a"), "a")
    values_of(ledger)
    assert ledger.acknowledged(JournalOffset(6)) == []
    assert ledger.standing is OwnershipState.CHECKING
    assert ledger.gap is not None
    assert (ledger.gap.start, ledger.gap.stop) == (5, 7)
    void = Placed(offset=JournalOffset(5), at=JournalOffset(3), entry=said("x"))
    mine = Placed(offset=JournalOffset(6), at=JournalOffset(5), entry=said("a"))
    assert ledger.gap_read([void, mine]) == []
    assert [(value["send"], value["at"]) for value in values_of(ledger)] == [("a", 7)]


def test_a_foreign_claim_in_the_gap_means_that_the_partition_is_lost_and_says_to_whom() -> None:
    ledger = owned(base=4)
    ledger.add(said("a"), "a")
    values_of(ledger)
    ledger.acknowledged(JournalOffset(6))
    claim = Placed(offset=JournalOffset(5), at=JournalOffset(0), entry=make_claim("other"))
    assert ledger.gap_read([claim, Placed(offset=JournalOffset(6), at=JournalOffset(5), entry=said("a"))]) == []
    assert ledger.standing is OwnershipState.LOST
    assert ledger.lost_to == "member-other"
    assert ledger.next_append(list) == []


@pytest.mark.parametrize("proven", [True, False])
def test_an_operators_word_takes_the_partition_where_it_is_proven(proven: bool) -> None:  # noqa: FBT001
    ledger = owned(base=4)
    ledger.add(said("a"), "a")
    values_of(ledger)
    ledger.acknowledged(JournalOffset(6))
    word = Accepted(group="g", start=Offset(0), end=Offset(1), why="asked for", accepted_at=Instant(1.0))
    at = JournalOffset(5 if proven else 4)
    ledger.gap_read(
        [
            Placed(offset=JournalOffset(5), at=at, entry=word),
            Placed(offset=JournalOffset(6), at=JournalOffset(5), entry=said("a")),
        ]
    )
    assert ledger.standing is (OwnershipState.LOST if proven else OwnershipState.OWNED)


def test_a_late_claim_of_our_own_is_no_loss() -> None:
    ledger = owned(base=4)
    ledger.add(said("a"), "a")
    values_of(ledger)
    ledger.acknowledged(JournalOffset(6))
    claim = Placed(offset=JournalOffset(5), at=JournalOffset(0), entry=make_claim("me"))
    ledger.gap_read([claim, Placed(offset=JournalOffset(6), at=JournalOffset(5), entry=said("a"))])
    assert ledger.standing is OwnershipState.OWNED


@pytest.mark.parametrize("landed", [True, False])
def test_after_an_append_of_unknown_fate_the_partition_is_claimed_anew_and_the_gap_says_what_landed(
    landed: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    ledger = owned(base=4)
    ledger.add(said("a"), "a")
    values_of(ledger)
    ledger.failed()
    assert ledger.standing is OwnershipState.UNSURE
    (claim,) = values_of(ledger)
    assert claim["kind"] == "claim"
    stands = [Placed(offset=JournalOffset(5), at=JournalOffset(5), entry=said("a"))] if landed else []
    ledger.acknowledged(JournalOffset(5 + len(stands)))
    proven = ledger.gap_read(stands)
    assert [(draft.token, draft.landed_at) for draft in proven] == ([("a", 5)] if landed else [])
    again = [(value["send"], value["at"]) for value in values_of(ledger)]
    assert again == ([] if landed else [("a", 6)])


@pytest.mark.parametrize("during", ["an append", "a claim"])
def test_a_journal_that_ends_before_what_was_proven_stops_the_partition(during: str) -> None:
    ledger = owned(base=4)
    ledger.add(said("a"), "a")
    values_of(ledger)
    if during == "a claim":
        ledger.failed()
        values_of(ledger)
    assert ledger.acknowledged(JournalOffset(2)) == []
    assert ledger.standing is OwnershipState.RECREATED
    assert ledger.next_append(list) == []


def test_what_does_not_fit_into_one_append_waits_for_the_next() -> None:
    ledger = owned()
    for each in range(40):
        ledger.add(said("x" * 50_000, each), each)
    rounds = []
    base = 1
    while values := ledger.next_append(list):
        assert sum(map(len, values)) <= MAX_APPEND_BYTES
        assert [orjson.loads(value)["at"] for value in values] == list(range(base, base + len(values)))
        rounds.append([draft.token for draft in ledger.acknowledged(JournalOffset(base))])
        base += len(values)
    assert [token for proven in rounds for token in proven] == list(range(40))
    assert len(rounds) == 3


def test_a_checkpoint_goes_before_everything_that_waits() -> None:
    ledger = owned()
    ledger.add(said("a"), "a")
    values = ledger.next_append(lambda: [Draft(said("first"), None)])
    assert [orjson.loads(value)["send"] for value in values] == ["first", "a"]


def owning(*entries: Entry) -> Ledger:
    """A ledger that owns its partition, with entries that wait."""
    ledger = Ledger(lambda: make_claim("me"), "me")
    ledger.may_claim()
    ledger.next_append(list)
    ledger.acknowledged(JournalOffset(0))
    ledger.taken_over()
    for entry in entries:
        ledger.add(entry, entry)
    return ledger


def returned(number: int) -> Returned:
    return Returned(send_id=SendId(f"s{number}"), attempt=1, started=False)


SNAPSHOT = Checkpoint(
    group="g", watermark=Offset(7), settled=(), open_attempts=(), tried=(), unpublished=None, mark=None
)


def test_a_journal_that_takes_only_small_appends_gets_small_ones_with_all_that_was_said_in_its_order() -> None:
    entries = [returned(number) for number in range(100)]
    ledger = owning(*entries)
    log: list[bytes] = [b"claim"]
    proven: list[object] = []
    while values := ledger.next_append(list):
        if sum(map(len, values)) > 1_000:
            assert ledger.too_large() is Fit.SMALLER
            continue
        base = JournalOffset(len(log))
        log += values
        proven += [draft.token for draft in ledger.acknowledged(base)]
    assert proven == entries
    assert all(decode(JournalOffset(at), value).counts for at, value in enumerate(log) if at)


def test_a_checkpoint_that_is_too_large_waits_and_holds_up_nothing() -> None:
    ledger = owning()
    assert ledger.next_append(lambda: [Draft(SNAPSHOT, None)])
    assert ledger.too_large() is Fit.ANEW
    assert ledger.idle
    ledger.add(returned(1), None)
    assert len(ledger.next_append(list)) == 1


def test_a_single_entry_that_is_too_large_is_tried_again_as_it_is() -> None:
    ledger = owning(returned(1), returned(2))
    ledger.max_append_bytes = 1
    (value,) = ledger.next_append(list)
    assert ledger.too_large() is Fit.NEVER
    assert ledger.next_append(list) == []
    (draft,) = ledger.acknowledged(JournalOffset(1))
    assert draft.entry == returned(1)
    assert decode(JournalOffset(1), value).counts
    claiming = Ledger(lambda: make_claim("me"), "me")
    claiming.may_claim()
    assert claiming.next_append(list)
    assert claiming.too_large() is Fit.NEVER

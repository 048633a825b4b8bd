"""A day in the life of one partition, honest; then forged in every way, one at a time, and each time found."""

from collections.abc import Callable

import pytest

from consumer.audit.findings import ViolationKind
from tests.audit.fabricated import JOURNAL, NOW, RESULTS, TOPIC, TTL_SECONDS, Verdict, Where, World, by_record, settled
from tests.audit.honest import (
    PENDING,
    at,
    both,
    change,
    forge_duplicate,
    honest,
    republish,
    unpublish,
    void,
)


def test_an_honest_partition_is_proven_and_what_is_unknown_is_listed() -> None:
    world = honest()

    findings = world.findings()

    assert findings.violations == []
    assert (findings.records, findings.outcomes, findings.results) == (13, 12, 12)
    assert (findings.republished, findings.dead_letters, findings.pending, findings.void_entries) == (2, 1, 1, 1)
    assert [(one.offset, one.status, one.possible_duplicate) for one in findings.unknown] == [
        (5, "accepted", True),
        (6, "in_doubt", False),
    ]
    assert findings.by_status["accepted"] == 5


Forgery = tuple[Callable[[World], object], set[tuple[ViolationKind, tuple[str, int, int]]]]

FORGERIES: dict[str, Forgery] = {
    "an outcome never landed": (
        lambda world: void(world, kind="outcome", send="s8"),
        {
            (ViolationKind.NO_OUTCOME, at(9)),
            (ViolationKind.RESULT_WITHOUT_OUTCOME, at(9)),
            (ViolationKind.FALSE_CHECKPOINT, at(9)),
        },
    ),
    "a record was committed past and forgotten": (
        lambda world: setattr(world, "committed", PENDING + 1),
        {(ViolationKind.NO_OUTCOME, at(PENDING))},
    ),
    "a segment that remembers a record without an outcome": (
        lambda world: world.segment(9, PENDING),
        {(ViolationKind.FALSE_CHECKPOINT, at(PENDING))},
    ),
    "a checkpoint that names a segment where none stands": (
        lambda world: world.checkpoint(memory={"upto": 0, "forgotten": None, "segments": [[1, 2, NOW, NOW]]}),
        {(ViolationKind.FALSE_CHECKPOINT, (JOURNAL, 1, 34))},
    ),
    "a segment with fewer fingerprints than records": (
        lambda world: change(world, {"fingerprints": ""}, kind="segment"),
        {(ViolationKind.NOT_AN_ENTRY, (JOURNAL, 1, 14)), (ViolationKind.FALSE_CHECKPOINT, (JOURNAL, 1, 33))},
    ),
    "a result was never published": (lambda world: unpublish(world, 9), {(ViolationKind.NO_RESULT, at(9))}),
    "a second outcome that says the same": (
        lambda world: world.settle(world.verdicts[9], 9),
        {(ViolationKind.TWO_OUTCOMES, at(9))},
    ),
    "an outcome of a record that never was": (
        lambda world: world.settle(Verdict(send="s20"), 99),
        {(ViolationKind.OUTCOME_WITHOUT_RECORD, at(99))},
    ),
    "an intent of a record that never was": (
        lambda world: world.intent("s20", 1, 99),
        {(ViolationKind.OUTCOME_WITHOUT_RECORD, at(99))},
    ),
    "a result of a record that never was": (
        lambda world: world.publish(9, source={"topic": TOPIC, "partition": 1, "offset": 99}),
        {(ViolationKind.RESULT_WITHOUT_RECORD, at(99))},
    ),
    "a result of a partition that never was": (
        lambda world: world.publish(9, source={"topic": TOPIC, "partition": 7, "offset": 9}),
        {(ViolationKind.RESULT_WITHOUT_RECORD, (TOPIC, 7, 9))},
    ),
    "a record that vanished from the middle of the log": (
        lambda world: world.events.remove(9),
        {(ViolationKind.OUTCOME_WITHOUT_RECORD, at(9)), (ViolationKind.RESULT_WITHOUT_RECORD, at(9))},
    ),
    "a result published again with another content": (
        lambda world: world.publish(9, eventType="order.lost"),
        {(ViolationKind.TWO_CONTENTS, at(9))},
    ),
    "a result in another partition": (
        both(
            lambda world: unpublish(world, 9),
            lambda world: world.publish(9, log=world.log(RESULTS, 0)),
        ),
        {(ViolationKind.NO_RESULT, at(9)), (ViolationKind.WRONG_PARTITION, at(9))},
    ),
    "another partition's result in this one": (
        lambda world: world.publish(9, source={"topic": TOPIC, "partition": 2, "offset": 9}),
        {(ViolationKind.WRONG_PARTITION, (TOPIC, 2, 9))},
    ),
    "something else among the results": (
        lambda world: world.results.append(value=b'{"status": "fine"}'),
        {(ViolationKind.NOT_A_RESULT, (RESULTS, 1, 14))},
    ),
    "another status": (
        lambda world: republish(world, 9, status="rejected"),
        {(ViolationKind.CONTRADICTS_OUTCOME, at(9))},
    ),
    "another reason": (
        lambda world: republish(world, 7, reason="too_old"),
        {(ViolationKind.CONTRADICTS_OUTCOME, at(7))},
    ),
    "another detail": (
        lambda world: republish(world, 7, detail="campaignId: required"),
        {(ViolationKind.CONTRADICTS_OUTCOME, at(7))},
    ),
    "another send": (lambda world: republish(world, 9, sendId="s7"), {(ViolationKind.CONTRADICTS_OUTCOME, at(9))}),
    "other attempts": (lambda world: republish(world, 9, attempts=1), {(ViolationKind.CONTRADICTS_OUTCOME, at(9))}),
    "another mark": (
        lambda world: republish(world, 5, possibleDuplicate=False),
        {(ViolationKind.CONTRADICTS_OUTCOME, at(5))},
    ),
    "an instant stamped anew": (
        lambda world: republish(world, 9, completedAt="2026-11-25T00:00:00.001Z"),
        {(ViolationKind.CONTRADICTS_OUTCOME, at(9))},
    ),
    "a reception stamped anew": (
        lambda world: republish(world, 9, receivedAt="2026-11-25T00:00:00.001Z"),
        {(ViolationKind.CONTRADICTS_OUTCOME, at(9))},
    ),
    "another answer of the platform": (
        lambda world: republish(world, 0, response=None),
        {(ViolationKind.CONTRADICTS_OUTCOME, at(0))},
    ),
    "another record's result ID": (
        lambda world: republish(world, 9, resultId=world.result(8)["resultId"]),
        {(ViolationKind.WRONG_RESULT_ID, at(9))},
    ),
    "another event's ID": (
        lambda world: republish(world, 9, eventId="e-1"),
        {(ViolationKind.NOT_OF_THIS_RECORD, at(9))},
    ),
    "a resend that was none": (
        lambda world: republish(world, 9, resendId="r-1"),
        {(ViolationKind.NOT_OF_THIS_RECORD, at(9))},
    ),
    "another key": (lambda world: republish(world, 1, key=b"other"), {(ViolationKind.NOT_OF_THIS_RECORD, at(1))}),
    "no key, though the record has one": (
        lambda world: republish(world, 1, key=None),
        {(ViolationKind.NOT_OF_THIS_RECORD, at(1))},
    ),
    "a repeat whose mark was forgotten": (
        both(
            lambda world: change(
                world, {"settled": [settled(Verdict(send="s3", attempts=2), [5])]}, kind="outcome", send="s3"
            ),
            lambda world: republish(world, 5, possibleDuplicate=False),
        ),
        {(ViolationKind.UNMARKED_REPEAT, at(5))},
    ),
    "an attempt whose end is not in the journal": (
        lambda world: void(world, kind="returned", send="s2"),
        {(ViolationKind.UNMARKED_REPEAT, at(4))},
    ),
    "a refusal after an attempt of unknown fate": (
        lambda world: void(world, kind="returned", send="s6"),
        {(ViolationKind.DOUBT_FORGOTTEN, at(8)), (ViolationKind.UNMARKED_REPEAT, at(9))},
    ),
    "a deadline after an attempt of unknown fate": (
        lambda world: void(world, kind="returned", send="s9"),
        {(ViolationKind.DOUBT_FORGOTTEN, at(10))},
    ),
    "a mark without a doubt": (
        lambda world: void(world, kind="intent", send="s3", attempt=1),
        {
            (ViolationKind.NEEDLESS_DOUBT, at(5)),
            (ViolationKind.MISCOUNTED, at(5)),
            (ViolationKind.FALSE_CHECKPOINT, at(5)),
        },
    ),
    "a doubt without an attempt": (
        lambda world: void(world, kind="intent", send="s4"),
        {(ViolationKind.NEEDLESS_DOUBT, at(6))},
    ),
    "a request without an intent": (
        lambda world: void(world, kind="intent", send="s7"),
        {(ViolationKind.NO_INTENT, at(8)), (ViolationKind.MISCOUNTED, at(8))},
    ),
    "a request after the outcome": (
        lambda world: world.intent("s20", 1, 9),
        {(ViolationKind.SENT_AFTER_OUTCOME, at(9))},
    ),
    "an attempt that was not counted": (
        both(
            lambda world: change(world, {"settled": [settled(Verdict(send="s8"), [9])]}, kind="outcome", send="s8"),
            lambda world: republish(world, 9, attempts=1),
        ),
        {(ViolationKind.MISCOUNTED, at(9))},
    ),
    "a duplicate of itself": (
        lambda world: forge_duplicate(world, {"eventId": "e-0", "partition": 1, "offset": 3}),
        {(ViolationKind.DUPLICATE_OF_NOTHING, at(3))},
    ),
    "a duplicate of another event": (
        lambda world: forge_duplicate(world, {"eventId": "e-0", "partition": 1, "offset": 1}),
        {(ViolationKind.DUPLICATE_OF_NOTHING, at(3))},
    ),
    "a duplicate of something in another partition": (
        lambda world: forge_duplicate(world, {"eventId": "e-0", "partition": 2, "offset": 0}),
        {(ViolationKind.DUPLICATE_OF_NOTHING, at(3))},
    ),
    "a dead letter was never published": (
        lambda world: world.dead_letters.records.clear(),
        {(ViolationKind.NO_DEAD_LETTER, at(2))},
    ),
    "a dead letter with other bytes": (
        lambda world: world.dead_letter(2, value=b"no  event"),
        {(ViolationKind.ALTERED_DEAD_LETTER, at(2))},
    ),
    "a dead letter without the record's key": (
        lambda world: world.dead_letter(2, key=None),
        {(ViolationKind.ALTERED_DEAD_LETTER, at(2))},
    ),
    "a dead letter with another reason": (
        both(
            lambda world: change(
                world,
                {"settled": [settled(Verdict(status="invalid", reason="schema", attempts=0, dispatched_at=None), [2])]},
                kind="outcome",
                send=None,
            ),
            lambda world: republish(world, 2, reason="schema"),
        ),
        {(ViolationKind.ALTERED_DEAD_LETTER, at(2))},
    ),
    "a dead letter of an event that was sent": (
        lambda world: world.dead_letter(1),
        {(ViolationKind.NEEDLESS_DEAD_LETTER, at(1))},
    ),
    "a checkpoint's watermark one too far": (
        lambda world: world.checkpoint(watermark=PENDING + 1),
        {(ViolationKind.FALSE_CHECKPOINT, at(PENDING)), (ViolationKind.NO_OUTCOME, at(PENDING))},
    ),
    "a checkpoint that goes back": (
        lambda world: world.checkpoint(watermark=3),
        {(ViolationKind.FALSE_CHECKPOINT, at(PENDING))},
    ),
    "a checkpoint that settles what is open": (
        lambda world: world.checkpoint(settled=[PENDING, 1]),
        {(ViolationKind.FALSE_CHECKPOINT, at(PENDING))},
    ),
    "a checkpoint without the open attempts": (
        lambda world: world.checkpoint(open=[]),
        {(ViolationKind.FALSE_CHECKPOINT, at(PENDING))},
    ),
    "a checkpoint with an attempt that nobody made": (
        lambda world: world.checkpoint(
            open=[
                *world.snapshot()["open"],
                {"send": "s20", "attempt": 1, "at": NOW, "offsets": [PENDING]},
            ]
        ),
        {(ViolationKind.FALSE_CHECKPOINT, at(PENDING))},
    ),
    "a checkpoint that tells an attempt by record, twice": (
        lambda world: world.checkpoint(open=[by_record([PENDING], lost=2)]),
        {(ViolationKind.FALSE_CHECKPOINT, at(PENDING))},
    ),
    "a checkpoint that tells by record of an attempt that nobody made": (
        lambda world: world.checkpoint(open=[*world.snapshot()["open"], by_record([PENDING], lost=1)]),
        {(ViolationKind.FALSE_CHECKPOINT, at(PENDING))},
    ),
    "a checkpoint that says of an attempt of unknown fate that it failed": (
        lambda world: world.checkpoint(open=[], tried=[{"attempts": 1, "first_at": NOW, "offsets": [PENDING]}]),
        {(ViolationKind.FALSE_CHECKPOINT, at(PENDING))},
    ),
    "another group's claim": (lambda world: world.claim("others"), {(ViolationKind.FOREIGN_GROUP, (JOURNAL, 1, 34))}),
    "somebody else's record in the journal": (
        lambda world: world.journal.append(value=b"hello"),
        {(ViolationKind.NOT_AN_ENTRY, (JOURNAL, 1, 34))},
    ),
    "an entry of a kind that nobody knows": (
        lambda world: world.entry("blessing"),
        {(ViolationKind.NOT_AN_ENTRY, (JOURNAL, 1, 34))},
    ),
}


@pytest.mark.parametrize("forge, named", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forgery_is_found_and_named_where_it_is_and_nothing_else_is(
    forge: Callable[[World], object], named: set[tuple[ViolationKind, tuple[str, int, int]]]
) -> None:
    world = honest()
    forge(world)

    found = world.found()

    expected: set[Where] = {(kind.value, *where) for kind, where in named}
    assert found == expected


def test_an_event_sent_twice_is_found_unless_so_much_came_between_that_it_may_be_forgotten() -> None:
    world = honest()
    again = world.event("e-9")
    world.settle(Verdict(status="failed", reason="retry_age", attempts=0, dispatched_at=None), PENDING)
    world.intent("s20", 1, again)
    world.settle(Verdict(send="s20", received_at=NOW + TTL_SECONDS - 60, completed_at=NOW + TTL_SECONDS), again)
    world.publish(PENDING, again)

    assert world.found() == {("same_event_twice", TOPIC, 1, again), ("doubt_forgotten", TOPIC, 1, PENDING)}
    few = world.findings(max_entries=8)
    assert few.by_kind[ViolationKind.SAME_EVENT_TWICE] == 0
    assert few.accepted_again == 1
    assert world.findings(ttl_ms=60_000).accepted_again == 0


def test_every_kind_of_violation_has_a_forgery() -> None:
    tried = {kind for _, named in FORGERIES.values() for kind, _ in named}

    assert set(ViolationKind) - tried == {
        ViolationKind.SAME_EVENT_TWICE,
        ViolationKind.SUPERSEDED_BY_NOTHING,  # test_superseded.py
        ViolationKind.AFTER_DEADLINE,
        ViolationKind.STARTED_WHILE_HELD,  # test_holds.py
        ViolationKind.UNFINISHED,
    }


def test_a_request_that_starts_after_its_deadline_is_found() -> None:
    for deadline, late in (("2026-09-21T14:13:21.400Z", True), ("2026-09-21T14:13:21.600Z", False)):
        world = World()
        world.claim()
        world.event(expiresAt=deadline)
        world.intent("s1", 1, 0)
        world.settle(Verdict(send="s1"), 0)
        world.publish(0)

        assert world.found() == ({("after_deadline", TOPIC, 1, 0)} if late else set())


def test_what_is_pending_is_a_violation_only_where_completeness_is_asked_for() -> None:
    world = honest()

    assert world.found(is_complete=True) == {("unfinished", TOPIC, 1, PENDING)}
    world.intent("s11", 2, PENDING)
    world.settle(Verdict(send="s11", attempts=2, marked=True), PENDING)
    assert world.findings().pending == 1, "its result is missing"
    world.publish(PENDING)
    assert world.findings(is_complete=True).pending == 0


def test_dead_letters_and_results_of_others_are_no_business_of_the_audit() -> None:
    world = honest()
    world.dead_letters.append(value=b"anything")
    others = {"topic": "other", "partition": "1", "offset": "1", "reason": "schema"}
    world.dead_letters.append(headers=[(f"dlq-{name}", value.encode()) for name, value in others.items()])
    world.publish(9, source={"topic": "other", "partition": 1, "offset": 9})

    assert world.found() == set()

"""Retention, moves of the group, operators' decisions: what cannot be proven is said, and nobody is accused of it."""

from dataclasses import replace

import pytest

from consumer.audit.findings import DecidedRange
from consumer.audit.run import AuditPoint, TooShortRetentionError
from tests.audit.fabricated import DEAD_LETTERS, GROUP, JOURNAL, NOW, RESULTS, TOPIC, Shelf, Verdict, World, judged_with
from tests.audit.honest import PENDING, entry_with, honest, unpublish, void

LATER = NOW + 86_400


def settle_later(world: World, count: int = 2) -> list[int]:
    """Let the world go on, a day after what was removed."""
    offsets = [world.event() for _ in range(count)]
    world.intent("later", 1, *offsets)
    verdict = Verdict(send="later", received_at=LATER, dispatched_at=LATER + 1, completed_at=LATER + 2)
    world.settle(verdict, *offsets)
    world.publish(*offsets)
    return offsets


# ---------------------------------------------------------------- retention


def test_a_journal_that_has_lost_its_beginning_proves_what_is_left_and_counts_the_rest() -> None:
    world = honest()
    world.journal.trim(entry_with(world, kind="checkpoint") + 1)  # 0 to 3 are settled before, 4 to 11 after

    findings = world.findings()

    assert findings.violations == []
    assert findings.unprovable == 4


@pytest.mark.parametrize("kept", range(35))
def test_wherever_retention_cuts_the_journal_nobody_is_accused(kept: int) -> None:
    world = honest()
    assert world.journal.end == 34
    world.journal.trim(kept)

    findings = world.findings()

    assert findings.violations == []
    assert findings.unprovable + findings.outcomes >= PENDING


def test_what_the_rest_of_a_journal_contradicts_is_found() -> None:
    world = honest()
    world.journal.trim(entry_with(world, kind="checkpoint") + 1)
    void(world, kind="intent", send="s8")
    void(world, kind="returned", send="s9")

    assert world.found() == {
        ("no_intent", TOPIC, 1, 9),
        ("miscounted", TOPIC, 1, 9),
        ("doubt_forgotten", TOPIC, 1, 10),
    }


def test_an_open_attempt_that_only_the_first_checkpoint_knows_of_must_be_marked() -> None:
    for marked in (True, False):
        world = World()
        world.claim()
        world.event()
        world.intent("s1", 1, 0)
        world.checkpoint()
        world.intent("s1", 2, 0)
        world.settle(Verdict(send="s1", attempts=2, marked=marked), 0)
        world.publish(0)
        world.journal.trim(2)

        assert world.found() == (set() if marked else {("unmarked_repeat", TOPIC, 1, 0)})


def test_results_that_retention_has_removed_are_not_called_missing_and_younger_ones_are() -> None:
    world = honest()
    first, second = settle_later(world)
    world.results.trim(world.results.end - 2)  # only the last two are left
    for offset in range(world.results.start, world.results.end):
        world.results.change(offset, timestamp=int(LATER * 1000) + 2_000)
    world.committed = PENDING
    assert world.findings().unprovable == PENDING
    assert world.found() == set()

    unpublish(world, second)
    world.results.change(world.results.end - 2, timestamp=int(LATER * 1000) + 1_999)
    world.settle(Verdict(status="in_doubt", attempts=1, completed_at=LATER + 3), PENDING)
    world.publish(PENDING)
    world.committed = second + 1

    assert world.found() == {("no_result", TOPIC, 1, second)}
    assert first < second


def test_dead_letters_that_retention_has_removed_are_not_called_missing() -> None:
    world = honest()
    world.dead_letters.trim(1)

    assert world.found() == set()
    assert world.findings().unprovable == 1


def test_records_that_retention_has_removed_may_leave_outcomes_and_results() -> None:
    world = honest()
    world.events.trim(6)

    findings = world.findings()

    assert findings.violations == []
    assert (findings.start, findings.records, findings.removed) == (6, 7, 8)


@pytest.mark.parametrize("topic, partition", [(TOPIC, 1), (JOURNAL, 1), (RESULTS, 1), (DEAD_LETTERS, 0)])
def test_retention_that_goes_on_while_a_partition_is_read_makes_the_audit_read_it_again(
    topic: str, partition: int
) -> None:
    class Shrinking(Shelf):
        """One of its logs loses a record whenever it is looked at."""

        times = 0

        async def bounds(self, looked_at: str, number: int) -> tuple[int, int]:
            if (looked_at, number) == (topic, partition) and self.times:
                self.times -= 1
                log = world.log(topic, partition)
                log.trim(log.start + 1)
            return await super().bounds(looked_at, number)

    world = honest()
    shelf = Shrinking(world)
    one_partition = frozenset({1})
    shelf.times = 3

    assert judged_with(shelf, partitions=one_partition).proven
    shelf.times = 99
    with pytest.raises(TooShortRetentionError, match=f"{TOPIC}:1: retention removes"):
        judged_with(shelf, partitions=one_partition)


# ---------------------------------------------------------------- moves and decisions


def test_what_the_group_was_moved_over_is_listed_and_not_called_missing() -> None:
    world = honest()
    world.event()
    stop = world.events.end
    world.entry("skipped", **{"from": PENDING, "to": stop}, skipped_at=NOW)
    world.open.clear()
    world.verdicts |= dict.fromkeys(range(PENDING, stop), Verdict())  # the owner goes on behind them
    world.checkpoint()
    world.committed = stop

    findings = world.findings()

    assert findings.violations == []
    assert findings.spans == [DecidedRange(start=PENDING, stop=stop, why="skipped")]
    assert [(one.offset, one.status) for one in findings.unknown] == [(5, "accepted"), (6, "in_doubt"), (12, "skipped")]


def test_records_passed_over_without_a_word_in_the_journal_are_called_missing() -> None:
    world = honest()
    world.committed = PENDING + 1

    assert world.found() == {("no_outcome", TOPIC, 1, PENDING)}


def test_after_an_operators_word_everything_from_there_on_is_judged_anew() -> None:
    world = honest()
    world.settle(Verdict(send="nowhere"), 50)  # of a topic that was cut since
    world.entry("accepted", group=GROUP, start=8, end=13, why="it was cut", accepted_at=NOW)
    world.verdicts = {offset: verdict for offset, verdict in world.verdicts.items() if offset < 8}
    world.open.clear()
    world.claim()
    again = replace(Verdict(send="t1"), completed_at=LATER)
    for offset in range(8, PENDING + 1):
        world.intent(f"t{offset}", 1, offset)
        world.settle(replace(again, send=f"t{offset}"), offset)
    world.checkpoint()
    world.publish(*range(8, PENDING + 1))
    world.committed = PENDING + 1

    findings = world.findings(is_complete=True)

    assert findings.violations == []
    assert findings.spans == [
        DecidedRange(start=0, stop=8, why="below_accepted_start"),
        DecidedRange(start=8, stop=13, why="accepted"),
    ]
    assert findings.by_status["accepted"] == 4 + 5


def test_an_operators_word_that_counts_no_more_changes_nothing() -> None:
    world = honest()
    world.entry("accepted", at=3, group=GROUP, start=0, end=13, why="late", accepted_at=NOW)
    world.settle(world.verdicts[9], 9)

    assert world.found() == {("two_outcomes", TOPIC, 1, 9)}


# ---------------------------------------------------------------- ranges


def test_a_range_leaves_everything_outside_of_it_alone() -> None:
    world = honest()
    void(world, kind="outcome", send="s2")
    unpublish(world, 10)
    outside = {"since": AuditPoint(offset=5), "until": AuditPoint(offset=10)}

    assert {where[3] for where in world.found()} == {4, 10}
    assert world.found(**outside) == set()
    findings = world.findings(**outside)
    assert (findings.start, findings.stop, findings.records, findings.results) == (5, 10, 5, 5)


def test_a_range_may_be_given_by_instants() -> None:
    world = honest()
    for offset in range(8, PENDING + 1):
        world.events.change(offset, timestamp=int(LATER * 1000))

    findings = world.findings(since=AuditPoint(timestamp_ms=int(LATER * 1000)))
    assert (findings.start, findings.stop) == (8, 13)
    findings = world.findings(until=AuditPoint(timestamp_ms=int(LATER * 1000)))
    assert (findings.start, findings.stop) == (0, 8)
    findings = world.findings(since=AuditPoint(timestamp_ms=int(LATER * 1000) + 1))
    assert (findings.start, findings.stop, findings.records) == (13, 13, 0)


def test_gaps_in_the_log_are_no_records() -> None:
    world = honest()
    world.events.end += 2  # the marks of a transaction
    world.event()
    offset = world.events.end - 1
    assert offset == PENDING + 3
    world.intent("s20", 1, offset)
    world.settle(Verdict(send="s20"), offset)
    world.publish(offset)

    findings = world.findings()

    assert findings.violations == []
    assert (findings.stop, findings.records) == (offset + 1, 14)

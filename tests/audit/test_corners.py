"""Rare cases, one by one: late returns, shared results partitions, bounds, and what must not be held against anybody."""

from dataclasses import replace

import orjson
import pytest

from consumer.audit.findings import KEPT, ViolationKind
from consumer.audit.run import AuditPoint
from tests.audit.fabricated import GROUP, JOURNAL, NOW, RESULTS, TOPIC, TTL_SECONDS, Verdict, World
from tests.audit.honest import PENDING, UNSENT, honest, republish

LATE = NOW + TTL_SECONDS


def sent(world: World, verdict: Verdict, *, event_id: str | None = None) -> int:
    """An event that goes the ordinary way."""
    offset = world.event(event_id)
    send = f"t{offset}"
    world.intent(send, 1, offset)
    world.settle(replace(verdict, send=send), offset)
    world.publish(offset)
    return offset


# ---------------------------------------------------------------- the journal


def test_an_attempt_that_turns_out_never_to_have_started_after_the_outcome_is_no_doubt() -> None:
    world = World()
    world.claim()
    world.event()
    world.intent("s1", 1, 0)
    world.settle(replace(UNSENT, status="expired", reason="deadline"), 0)
    world.publish(0)
    assert world.found() == {("doubt_forgotten", TOPIC, 1, 0)}

    world.entry("returned", send="s1", attempt=1, started=False)

    assert world.found() == set()


def test_a_return_closes_one_attempt_alone() -> None:
    world = World()
    world.claim()
    world.event()
    for attempt in (1, 2, 3):
        world.intent("s1", attempt, 0)
    world.returned("s1", 2)
    world.checkpoint()
    world.settle(Verdict(send="s1", attempts=3, marked=True), 0)
    world.publish(0)

    assert world.found() == set()


def test_what_was_tried_before_the_first_checkpoint_that_is_left_is_counted() -> None:
    world = World()
    world.claim()
    world.event()
    world.intent("s1", 1, 0)
    world.returned("s1", 1)
    start = world.checkpoint()
    world.intent("s1", 2, 0)
    world.settle(Verdict(send="s1", attempts=2), 0)
    world.publish(0)
    world.journal.trim(start)

    assert world.found() == set()


@pytest.mark.parametrize("kept", [0, 1, 2, 3, 4, 5], ids=lambda kept: f"from entry {kept} on")
def test_what_the_first_checkpoint_that_is_left_tells_by_record_is_counted_once(kept: int) -> None:
    """Of three attempts one was throttled and two are unknown; some of their intents may be left beside it."""
    world = World()
    world.claim()
    world.event()
    for attempt in (1, 2, 3):
        world.intent("s1", attempt, 0)
    world.unknown("s1", 1)
    world.unknown("s1", 3)
    world.returned("s1", 2)
    world.checkpoint()
    world.intent("s1", 4, 0)
    world.checkpoint()
    world.settle(Verdict(send="s1", attempts=4, marked=True), 0)
    world.publish(0)
    world.journal.trim(kept)

    assert world.found() == set()


def test_what_the_first_checkpoint_that_is_left_calls_settled_is_not_called_missing() -> None:
    world = World()
    world.claim()
    first, second = world.event(), world.event()
    world.settle(replace(UNSENT, status="expired", reason="deadline"), second)
    start = world.checkpoint()
    world.publish(second)
    world.intent("s1", 1, first)
    world.settle(Verdict(send="s1"), first)
    world.publish(first)
    world.journal.trim(start)
    world.committed = 2

    assert world.found() == set()
    assert world.findings().unprovable == 1


@pytest.mark.parametrize("kind", ["checkpoint", "accepted"])
def test_another_groups_words_are_found_whatever_their_kind(kind: str) -> None:
    world = World()
    world.claim()
    if kind == "checkpoint":
        offset = world.checkpoint(group="others")
    else:
        offset = world.entry("accepted", group="others", start=0, end=0, why="", accepted_at=NOW)

    assert world.found() == {("foreign_group", JOURNAL, 1, offset)}


def test_after_an_operators_word_checkpoints_may_begin_below_earlier_ones() -> None:
    world = honest()
    world.entry("accepted", group=GROUP, start=4, end=13, why="it was cut", accepted_at=NOW)
    world.verdicts = {offset: verdict for offset, verdict in world.verdicts.items() if offset < 4}
    world.open.clear()
    world.claim()
    world.checkpoint()
    world.committed = 4

    findings = world.findings()

    assert findings.violations == []
    assert findings.pending == PENDING + 1 - 4 - 8, "what has its result from before waits for nothing"


# ---------------------------------------------------------------- results


def test_the_spelling_of_a_result_published_again_makes_no_difference() -> None:
    world = honest()
    content = dict(reversed(world.result(9).items()))
    world.results.append(key=None, value=orjson.dumps(content, option=orjson.OPT_INDENT_2))

    assert world.found() == set()


def test_the_start_of_the_deciding_request_must_be_the_journals() -> None:
    world = honest()
    republish(world, 9, dispatchedAt="2026-09-21T14:13:21.501Z")

    assert world.found() == {("contradicts_outcome", TOPIC, 1, 9)}


def test_a_key_that_leaves_no_room_for_a_result_may_be_left_out() -> None:
    world = World()
    world.claim()
    world.event(key=b"k" * 900_001)
    world.settle(replace(UNSENT, status="expired", reason="deadline"), 0)
    world.publish(0, key=None)

    assert world.found() == set()


def test_an_invalid_records_result_names_what_could_be_read_of_it() -> None:
    world = World()
    world.claim()
    world.event("e" * 200)
    world.settle(replace(UNSENT, status="invalid", reason="schema"), 0)
    world.publish(0, eventId="something")
    world.dead_letter(0)

    assert world.found() == set()


def test_a_duplicate_of_a_duplicate_is_one_of_nothing() -> None:
    world = honest()
    again = world.event("e-0")
    related = {"eventId": "e-0", "partition": 1, "offset": 3}
    world.settle(replace(UNSENT, status="duplicate", reason="repeated", related=related), again)
    world.publish(again)

    assert world.found() == {("duplicate_of_nothing", TOPIC, 1, again)}


def test_partitions_that_share_a_results_partition_are_each_judged_and_what_stands_there_is_said_once() -> None:
    world = World(partition=1, partitions=3, results_partitions=1)
    world.claim()
    sent(world, Verdict())
    world.results.append(value=b"hello")
    world.publish(0, source={"topic": TOPIC, "partition": 9, "offset": 0})

    audited = world.judged()

    named = [(one.kind, one.topic, one.partition, one.offset) for part in audited.partitions for one in part.violations]
    assert sorted(named) == [
        (ViolationKind.NOT_A_RESULT, RESULTS, 0, 1),
        (ViolationKind.RESULT_WITHOUT_RECORD, TOPIC, 9, 0),
    ]
    assert world.findings().results == 1


def test_results_partitions_that_belong_to_nobody_are_looked_at() -> None:
    world = World(partition=1, partitions=2, results_partitions=4)
    world.claim()
    sent(world, Verdict())
    world.publish(0, log=world.log(RESULTS, 3))

    assert world.found() == {("wrong_partition", TOPIC, 1, 0)}
    assert world.found(partitions=frozenset({1})) == set(), "not looked at: other partitions are not asked about"


def test_results_that_stand_elsewhere_are_said_only_of_what_is_asked_about() -> None:
    world = honest()
    world.publish(9, log=world.log(RESULTS, 0))

    assert world.found() == {("wrong_partition", TOPIC, 1, 9)}
    assert world.found(since=AuditPoint(offset=10)) == set()
    assert world.found(until=AuditPoint(offset=9)) == set()
    assert world.found(partitions=frozenset({0})) == set()


def test_a_range_beyond_both_ends_of_the_log_is_what_there_is() -> None:
    world = honest()
    world.events.trim(5)

    findings = world.findings(since=AuditPoint(offset=0), until=AuditPoint(offset=10_000))

    assert (findings.start, findings.stop, findings.violations) == (5, 13, [])


# ---------------------------------------------------------------- dead letters


def test_a_truncated_dead_letter_need_not_hold_the_records_bytes() -> None:
    world = honest()
    world.dead_letter(2, value=None)
    (*_, last) = world.dead_letters.records
    world.dead_letters.change(last.offset, headers=[*last.headers, ("dlq-truncated", b"value of 2000000 bytes")])

    assert world.found() == set()


def test_a_dead_letter_that_was_one_before_is_the_record_without_its_old_headers() -> None:
    world = World()
    world.claim()
    world.events.append(value=b"{", headers=[("dlq-reason", b"old"), ("trace", b"1")])
    world.settle(replace(UNSENT, status="invalid", reason="not_json"), 0)
    world.publish(0)
    world.dead_letter(0)
    (letter,) = world.dead_letters.records
    world.dead_letters.change(0, headers=[header for header in letter.headers if header != ("dlq-reason", b"old")])

    assert world.found() == set()


# ---------------------------------------------------------------- deduplication


@pytest.mark.parametrize(
    "first, second, found",
    [
        (Verdict(), Verdict(received_at=LATE - 60, completed_at=LATE), True),
        (Verdict(), Verdict(received_at=LATE + 60, completed_at=LATE + 61), False),
        (
            Verdict(status="rejected", reason="contact_refused"),
            Verdict(received_at=LATE - 60, completed_at=LATE),
            False,
        ),
    ],
)
def test_an_event_is_sent_again_only_when_it_may_be_forgotten(first: Verdict, second: Verdict, *, found: bool) -> None:
    world = World()
    world.claim()
    sent(world, first, event_id="e-x")
    again = sent(world, second, event_id="e-x")

    assert world.found() == ({("same_event_twice", TOPIC, 1, again)} if found else set())


def test_an_event_that_may_have_gone_out_is_not_sent_again_either() -> None:
    world = World()
    world.claim()
    world.event("e-x")
    world.intent("s1", 1, 0)
    world.settle(replace(UNSENT, status="in_doubt", reason="answer_lost", attempts=1), 0)
    world.publish(0)
    again = sent(world, Verdict(received_at=NOW + 60, completed_at=NOW + 61), event_id="e-x")

    assert world.found() == {("same_event_twice", TOPIC, 1, again)}


def test_a_repeat_that_is_marked_for_its_own_reasons_says_so_already() -> None:
    world = World()
    world.claim()
    sent(world, Verdict(), event_id="e-x")
    again = world.event("e-x")
    world.intent("s2", 1, again)
    world.intent("s2", 2, again)
    verdict = Verdict(send="s2", attempts=2, marked=True, received_at=NOW + 60, completed_at=NOW + 61)
    world.settle(verdict, again)
    world.publish(again)

    assert world.found() == set()


def test_events_that_take_no_place_in_the_memory_push_nothing_out_of_it() -> None:
    world = World()
    world.claim()
    sent(world, Verdict(), event_id="e-x")
    for _ in range(20):
        offset = world.events.append(value=b"{")
        world.settle(replace(UNSENT, status="invalid", reason="not_json"), offset)
        world.publish(offset)
        world.dead_letter(offset)
    again = sent(world, Verdict(received_at=NOW + 60, completed_at=NOW + 61), event_id="e-x")

    assert world.found(max_entries=8) == {("same_event_twice", TOPIC, 1, again)}


def test_what_came_shortly_before_an_event_may_have_pushed_it_out_with_itself() -> None:
    world = World()
    world.claim()
    earlier = Verdict(received_at=NOW - 600, completed_at=NOW - 600)
    for _ in range(20):
        sent(world, earlier)
    sent(world, Verdict(), event_id="e-x")
    sent(world, Verdict(received_at=NOW + 60, completed_at=NOW + 61), event_id="e-x")

    assert world.found(max_entries=8) == set()
    assert world.findings(max_entries=8).accepted_again == 1


def test_what_an_operator_let_start_anew_may_go_out_again() -> None:
    world = World()
    world.claim()
    first = sent(world, Verdict(), event_id="e-x")
    world.entry("accepted", group=GROUP, start=0, end=1, why="it was cut", accepted_at=NOW)
    world.claim()
    again = world.event("e-x")
    for offset in (first, again):
        world.intent(f"u{offset}", 1, offset)
        verdict = Verdict(send=f"u{offset}", received_at=NOW + 60 + offset, completed_at=NOW + 61 + offset)
        world.settle(verdict, offset)
    world.publish(again)

    assert world.found() == set()


# ---------------------------------------------------------------- bounds of the report


def test_all_is_counted_and_a_bounded_number_is_named() -> None:
    world = World()
    world.claim()
    for _ in range(KEPT + 7):
        world.event()
    world.intent("s1", 1, *range(KEPT + 7))
    world.intent("s1", 2, *range(KEPT + 7))
    world.settle(Verdict(send="s1", attempts=2, marked=True), *range(KEPT + 7))
    world.committed = KEPT + 7

    findings = world.findings()

    assert (len(findings.violations), findings.by_kind[ViolationKind.NO_RESULT]) == (KEPT, KEPT + 7)
    assert (len(findings.unknown), findings.unknown_by_status["accepted"]) == (KEPT, KEPT + 7)

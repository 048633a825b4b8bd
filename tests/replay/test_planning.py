"""What a plan reads, and what it makes of topics that retention, tools and other groups have been at."""

from typing import Any

import pytest

from consumer.core.journal.entries import Skipped
from consumer.core.people import People
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Offset, Ticks
from consumer.lookup.points import LogPoint
from consumer.replay.criteria import Criteria, hash_of
from consumer.replay.planning import Drawn, draw_up
from consumer.replay.ranges import NothingToPlanError, PlanQuestion
from consumer.service.ports import TopicGoneError
from tests.replay.logs import DEAD_LETTERS, EVENTS, JOURNAL, RESULTS, Log, MemoryLogs, logs_of
from tests.replay.model import NOW

CLOCK = Now(Instant(NOW), Ticks(0.0))


class Told:
    """Progress, as it was told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.advanced = 0

    def stage(self, what: str, total: int) -> None:
        self.stages.append((what, total))

    def advance(self, offsets: int) -> None:
        self.advanced += offsets


async def drawn(
    logs: MemoryLogs, *, topics: tuple[str, ...] = (EVENTS,), told: Told | None = None, **asked: Any
) -> Drawn:
    """What a plan finds in these logs."""
    question = PlanQuestion(
        **{
            "journals": dict.fromkeys(topics, JOURNAL),
            "results": RESULTS,
            "dead_letters": DEAD_LETTERS,
            "criteria": Criteria(),
            **asked,
        }
    )
    return await draw_up(question, logs, policies=Policies(), now=CLOCK, progress=told or Told())


def places(found: Drawn) -> set[tuple[str, int, int]]:
    return {(one.topic, one.partition, record.offset) for one in found.conclusion.records for record in one.records()}


async def test_results_of_many_partitions_and_topics_are_found_in_fewer_of_the_results_topic() -> None:
    logs = logs_of(partitions=3, results_partitions=2, more=("other",))
    failed = set()
    for number, (topic, partition) in enumerate(
        (topic, partition) for partition in (2, 1, 0) for topic in (EVENTS, "other")
    ):
        for status in ("failed", "accepted"):
            event = 2 * number + (status == "failed")
            age = 9_000.0 if partition == 2 else 60.0  # another one's results stand beside older ones
            place = logs.event(event, topic=topic, partition=partition, seconds_ago=age)
            logs.result(place, status, event=event, seconds_ago=age)
            failed |= {place} if status == "failed" else set()

    found = await drawn(logs, topics=(EVENTS, "other"))

    assert places(found) == failed
    assert found.conclusion.counts.already_accepted == 6
    assert found.events_ends == {EVENTS: (2, 2, 2), "other": (2, 2, 2)}
    assert found.results_ends == (8, 4)


async def test_results_are_read_once_and_from_the_time_of_the_records_on() -> None:
    logs, told = logs_of(), Told()
    for number in range(10):
        logs.result(logs.event(number, seconds_ago=90_000), "failed", event=number, seconds_ago=89_000)
    for number in range(10, 15):
        logs.result(logs.event(number, seconds_ago=3_600), "failed", event=number, seconds_ago=3_500)

    found = await drawn(logs, since=LogPoint(timestamp_ms=round((NOW - 7_200) * 1000)), told=told)

    assert len(places(found)) == 5
    assert logs.read_from == {(EVENTS, 0): 10, (RESULTS, 0): 10}
    assert told.stages == [("events", 5), ("results", 5)]
    assert told.advanced == 10


async def test_the_journal_is_asked_where_results_are_gone_and_entries_that_do_not_count_say_nothing() -> None:
    logs = logs_of()
    for number in range(4):
        logs.event(number)
        logs.result((EVENTS, 0, number), "failed", event=number)
    logs.commits[EVENTS, 0] = 4
    for offset, status in enumerate(("failed", "accepted", "in_doubt")):
        logs.outcome(offset, status)
    logs.outcome(3, "failed", at=77)
    logs.topics[RESULTS][0].trim(4)

    counts = (await drawn(logs)).conclusion.counts

    assert (counts.would_send, counts.already_accepted, counts.in_doubt, counts.unsettled) == (1, 1, 1, 1)


async def test_what_neither_results_nor_journal_can_tell_is_unsettled_and_said() -> None:
    logs = logs_of()
    for number in range(3):
        logs.event(number)
        logs.result((EVENTS, 0, number), "failed", event=number)
        logs.outcome(number, "failed")
    logs.commits[EVENTS, 0] = 3
    logs.topics[RESULTS][0].trim(2)
    logs.topics[JOURNAL][0].trim(1)

    found = await drawn(logs)

    assert places(found) == {(EVENTS, 0, 1), (EVENTS, 0, 2)}
    assert (found.conclusion.counts.unsettled, found.notes.unknowable, found.notes.skipped) == (1, 1, 0)


async def test_what_was_passed_over_is_not_resent_where_nobody_can_know_that_it_was_not_sent() -> None:
    logs = logs_of()
    for number in range(3):
        logs.event(number)
    logs.result((EVENTS, 0, 0), "accepted", event=0)
    logs.outcome(0, "accepted")
    logs.skip(0, 2)
    logs.skip(1, 3, at=77)  # of a former owner
    logs.commits[EVENTS, 0] = 3

    assert places(await drawn(logs, only_skipped=True)) == {(EVENTS, 0, 1)}
    logs.topics[RESULTS][0].trim(1)
    assert places(await drawn(logs, only_skipped=True)) == {(EVENTS, 0, 1)}
    logs.topics[JOURNAL][0].trim(1)
    nobody_knows = await drawn(logs, only_skipped=True)
    assert (places(nobody_knows), nobody_knows.conclusion.counts.unsettled) == (set(), 2)


async def test_what_was_written_before_the_records_is_not_searched_for_what_became_of_them() -> None:
    logs = logs_of()
    for age in (90_000.0, 3_600.0):
        place = logs.event(1, seconds_ago=age, valid=False)
        logs.entry(Skipped(start=Offset(place[2]), stop=Offset(place[2] + 1), skipped_at=Instant(NOW)), seconds_ago=age)
        headers = [("dlq-reason", b"schema"), ("dlq-topic", EVENTS.encode()), ("dlq-partition", b"0")]
        headers += [("dlq-offset", str(place[2]).encode())]
        logs.topics[DEAD_LETTERS][0].append(age, headers=headers)
    recent = LogPoint(timestamp_ms=round((NOW - 7_200) * 1000))

    skipped = await drawn(logs, only_skipped=True, since=recent)
    letters = await drawn(logs, only_dead_letters=True, since=recent)

    assert (skipped.conclusion.counts.invalid, letters.conclusion.counts.invalid) == (1, 1)
    assert (logs.read_from[JOURNAL, 0], logs.read_from[DEAD_LETTERS, 0]) == (1, 1)


@pytest.mark.parametrize("by_journal", [False, True], ids=["results", "journal"])
async def test_what_was_accepted_before_a_partition_started_anew_stays_accepted(by_journal: bool) -> None:  # noqa: FBT001
    logs = logs_of()
    place = logs.event(1)
    for status in ("accepted", "failed"):  # an operator's word stands between them
        logs.result(place, status, event=1)
        logs.outcome(place[2], status)
    if by_journal:
        logs.topics[RESULTS][0].trim(2)

    assert (await drawn(logs)).conclusion.counts.already_accepted == 1


async def test_a_resend_whose_original_stands_before_the_range_is_planned_under_it() -> None:
    logs = logs_of()
    for number, status in enumerate(("accepted", "in_doubt", "failed")):
        logs.result(logs.event(number, seconds_ago=90_000), status, event=number, seconds_ago=89_000)
    for number in range(3):
        resend = logs.event(number, seconds_ago=3_600, resend="r-1")
        logs.result(resend, "failed", event=number, seconds_ago=3_500)
    recent = LogPoint(timestamp_ms=round((NOW - 7_200) * 1000))

    found = await drawn(logs, since=recent)

    counts = found.conclusion.counts
    assert (counts.already_accepted, counts.in_doubt, places(found)) == (1, 1, {(EVENTS, 0, 5)})
    assert (found.conclusion.after, found.notes.orphans) == (("r-1",), 0)
    logs.topics[RESULTS][0].trim(1)
    assert (await drawn(logs, since=recent)).notes.orphans == 3
    whole = await drawn(logs)
    assert (whole.notes.orphans, whole.conclusion.counts.repeated) == (0, 3)


async def test_offsets_that_retention_has_removed_are_counted_and_the_rest_is_planned() -> None:
    logs = logs_of()
    for number in range(5):
        logs.result(logs.event(number), "failed", event=number)
    logs.topics[EVENTS][0].trim(3)

    found = await drawn(logs, since=LogPoint(offset=1), until=LogPoint(offset=4))

    assert (places(found), found.notes.lost) == ({(EVENTS, 0, 3)}, 2)


async def test_a_journal_that_is_yet_to_be_made_tells_nothing() -> None:
    logs = logs_of()
    logs.event(1)
    del logs.topics[JOURNAL]

    assert (await drawn(logs)).conclusion.counts.unsettled == 1


async def test_a_dead_letter_whose_record_is_gone_is_written_down_and_one_that_is_valid_by_now_is_resent() -> None:
    logs = logs_of()
    headers = [("dlq-reason", b"too_large"), ("dlq-topic", EVENTS.encode()), ("dlq-partition", b"0")]
    for number in range(3):
        place = logs.event(number, valid=number != 1)
        logs.result(place, "invalid", event=number)
        (record,) = [one for one in logs.topics[EVENTS][0].records if one.offset == number]
        own = [*headers, ("dlq-offset", str(number).encode())]
        logs.topics[DEAD_LETTERS][0].append(key=record.key, value=record.value, headers=own)
    logs.topics[DEAD_LETTERS][0].append(value=b"a slip of somebody's producer")
    logs.topics[EVENTS][0].trim(1)

    asked: dict[str, Any] = {"only_dead_letters": True, "criteria": Criteria(invalid=True)}
    found = await drawn(logs, **asked)

    assert places(found) == {(EVENTS, 0, 2)}
    assert (found.notes.letters, found.notes.letters_gone, len(found.lines)) == (3, 1, 1)
    assert found.letters_of == (EVENTS,)
    assert (await drawn(logs, reason_contains="nothing like it", **asked)).notes.letters == 0


async def test_what_does_not_exist_is_refused_by_name() -> None:
    logs = logs_of(partitions=2)

    with pytest.raises(NothingToPlanError, match="has 2 partitions, no 2"):
        await drawn(logs, partitions=frozenset({2}))
    with pytest.raises(TopicGoneError, match="'nothing'"):
        await drawn(logs, topics=("nothing",))


async def test_results_of_before_the_results_topic_grew_are_found_where_they_stand() -> None:
    logs = logs_of(partitions=2)
    original, resend = logs.event(1, partition=1), logs.event(1, partition=1, resend="r-1")
    logs.result(resend, "accepted", event=1)
    logs.outcome(original[2], "failed", partition=1)  # its result came before those of the time in question
    logs.commits[EVENTS, 1] = 2
    logs.topics[RESULTS].append(Log())

    counts = (await drawn(logs, until=LogPoint(offset=1), partitions=frozenset({1}))).conclusion.counts

    assert (counts.already_accepted, counts.would_send) == (1, 0)


async def test_what_became_of_an_event_in_a_partition_that_is_not_asked_for_counts() -> None:
    logs = logs_of(partitions=2, results_partitions=2)
    for partition, status in enumerate(("accepted", "failed")):
        logs.result(logs.event(1, partition=partition), status, event=1)

    counts = (await drawn(logs, partitions=frozenset({1}))).conclusion.counts

    assert (counts.already_accepted, counts.would_send) == (1, 0)


async def test_exclusions_that_fit_nothing_are_counted() -> None:
    logs = logs_of()
    for number in range(3):
        logs.result(logs.event(number), "failed", event=number)
    written = ["e-0", "+34 600 000 001", "600000020", "e-77"]  # the third one has a slip of the pen
    criteria = Criteria(excluded_events=frozenset(map(hash_of, written)), excluded_people=People(written))

    found = await drawn(logs, criteria=criteria, exclusions=written)

    assert (found.conclusion.counts.excluded, places(found)) == (2, {(EVENTS, 0, 2)})
    assert found.notes.idle_exclusions == 2


async def test_a_result_of_what_stood_at_an_offset_before_the_topic_was_made_anew_says_nothing() -> None:
    logs = logs_of()
    logs.result((EVENTS, 0, 0), "failed", event=99)
    logs.event(1)  # on its way

    counts = (await drawn(logs)).conclusion.counts

    assert (counts.unsettled, counts.would_send) == (1, 0)

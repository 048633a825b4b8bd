"""What each metric says, in numbers: stories that the real core lives through, and what is counted of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pytest

from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import Answer, Answered, Exchange, Lost, Unreachable, Withheld, Withholding
from consumer.core.platform.post import Ruling
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.sending.settle import CalledOff
from consumer.core.terms import JournalOffset, Offset
from consumer.edge.telemetry.metrics import PROCESS, Metrics
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.engine_telemetry import EngineTelemetry
from consumer.service.facts import During, Producer, StopWhy
from tests.core.makers import P0, at, make_event, make_send
from tests.core.runner import Request
from tests.edge.support import P3, settle, status, telemetry
from tests.edge.telemetry.told import OK, Told, answering

HERE = {"topic": P0.topic, "partition": str(P0.number)}
NORMAL, WINDOW_SECONDS = {"priority": "normal"}, 2.0
BAD_ONE = "+34600000002"


def refusing(request: Request) -> tuple[Answer, float]:
    """A platform that refuses one contact, and whatever is in a request with it."""
    bad = any(person.endswith(BAD_ONE[-7:]) for person in request.persons)  # a person is known by these
    return (Answered(status=422, body=b"{}", retry_after_seconds=None) if bad else OK), 0.5


def refused_before_the_first_acceptance() -> Told:
    told = Told(platform=answering(Answered(status=422, body=b"{}", retry_after_seconds=None)))
    told.people("+34600000001", "+34600000002")
    return told


def two_people() -> Told:
    told = Told()
    told.people("+34600000001", "+34600000002")
    return told


def reading() -> Told:
    told = Told()
    told.feed(told.event(phone="+34600000001", expireAt="soon", priorty="immediate"), told.event(campaignId="x"))
    told.run()
    return told


def one_bad_contact() -> Told:
    told = Told(platform=refusing)
    told.people("+34600000009")
    told.people("+34600000001", "+34600000002", "+34600000003", "+34600000004")
    return told


def no_connection() -> Told:
    told = Told(platform=answering(Unreachable(detail="refused")))
    told.people("+34600000001")
    return told


def a_lost_answer() -> Told:
    told = Told(platform=answering(OK, Lost(detail="reset")))
    told.people("+34600000009")
    told.people("+34600000001", "+34600000002")
    return told


def throttled() -> Told:
    told = Told(platform=answering(OK, Answered(status=429, body=b"{}", retry_after_seconds=3.0)))
    told.people("+34600000009")
    told.people("+34600000001")
    return told


def called_off() -> Told:
    """Four requests that the last look held back."""
    told = Told(policies=Policies(default=CampaignPolicy()))
    teller = EngineTelemetry(told.telemetry, told.pipeline)
    for why in Withholding:
        event, now = make_event(), at(1)
        exchange = Exchange(answer=Withheld(why=why), started_at=None, finished_at=now.wall)
        teller.answered(make_send("s", event), [event], exchange, CalledOff(ruling=Ruling.WITHHELD), now)
    return told


def a_repeat() -> Told:
    told = Told()
    told.people("+34600000001", eventId="twice")
    told.people("+34600000001", eventId="twice")
    return told


STORIES: Sequence[tuple[Any, str, Mapping[str, str], float]] = (
    (two_people, "campaign_records_read_total", HERE, 2),
    (reading, "campaign_records_read_total", HERE, 2),
    (reading, "campaign_invalid_records_total", {**HERE, "reason": "schema"}, 1),
    (reading, "campaign_unknown_fields_total", {"meant": "expiresAt"}, 1),
    (reading, "campaign_unknown_fields_total", {"meant": "priority"}, 1),
    (two_people, "campaign_requests_total", {**NORMAL, "campaign": "other"}, 1),
    (two_people, "campaign_request_contacts_sum", NORMAL, 2),
    (two_people, "campaign_answers_total", {"answer": "accepted", "code": "200"}, 1),
    (two_people, "campaign_results_total", {"status": "accepted", "reason": "none"}, 2),
    (two_people, "campaign_acceptance_delay_seconds_count", NORMAL, 2),
    (two_people, "campaign_slo_events_total", NORMAL, 2),
    (two_people, "campaign_slo_good_events_total", NORMAL, 2),
    (reading, "campaign_slo_events_total", NORMAL, 1),
    (two_people, "campaign_campaign_results_total", {"campaign": "other", "status": "accepted", "reason": "none"}, 2),
    (two_people, "campaign_campaign_acceptance_delay_seconds_count", {"campaign": "other"}, 2),
    (reading, "campaign_campaign_results_total", {"campaign": "none", "status": "invalid", "reason": "schema"}, 1),
    (a_repeat, "campaign_results_total", {"status": "duplicate", "reason": "repeated"}, 1),
    (a_repeat, "campaign_requests_total", {**NORMAL, "campaign": "other"}, 1),
    # Four contacts, one of them bad: refused as four, two and one; halved twice.
    (one_bad_contact, "campaign_splits_total", {}, 2),
    (one_bad_contact, "campaign_answers_total", {"answer": "refused", "code": "422"}, 3),
    (one_bad_contact, "campaign_results_total", {"status": "rejected", "reason": "contact_refused"}, 1),
    (one_bad_contact, "campaign_results_total", {"status": "accepted", "reason": "none"}, 4),
    (refused_before_the_first_acceptance, "campaign_splits_total", {}, 1),
    (refused_before_the_first_acceptance, "campaign_results_total", {"status": "accepted", "reason": "none"}, 2),
    # Nothing went out: an attempt ended, and neither a request nor a duration is counted.
    (no_connection, "campaign_answers_total", {"answer": "not_delivered", "code": "none"}, 1),
    (no_connection, "campaign_retries_total", {"reason": "unreachable"}, 1),
    (no_connection, "campaign_request_duration_seconds_count", {"answer": "accepted"}, 1),
    (a_lost_answer, "campaign_unknown_outcomes_total", {"reason": "answer_lost"}, 2),
    (a_lost_answer, "campaign_possible_duplicates_total", {}, 2),
    (a_lost_answer, "campaign_retries_total", {"reason": "answer_lost"}, 1),
    (a_lost_answer, "campaign_requests_total", {**NORMAL, "campaign": "other"}, 3),
    (a_lost_answer, "campaign_request_contacts_sum", NORMAL, 5),
    (throttled, "campaign_retries_total", {"reason": "throttled"}, 1),
    (throttled, "campaign_answers_total", {"answer": "not_delivered", "code": "429"}, 1),
    (called_off, "campaign_retries_total", {"reason": "deadline"}, 1),
    (called_off, "campaign_retries_total", {"reason": "no_proof"}, 1),
    (called_off, "campaign_retries_total", {"reason": "not_ours"}, 1),
    (called_off, "campaign_retries_total", {"reason": "stopped"}, 1),
    (called_off, "campaign_answers_total", {"answer": "withheld", "code": "none"}, 4),
)


@pytest.mark.parametrize(
    "story, name, labels, value", STORIES, ids=lambda one: getattr(one, "__name__", None) or str(one)
)
def test_a_metric_counts_what_it_says(story: Any, name: str, labels: Mapping[str, str], value: float) -> None:
    assert story().value(name, labels) == value


def test_bytes_read_are_those_of_the_values_and_nothing_else() -> None:
    told = Told()
    documents = [told.event(phone="+34600000001"), {"no": "event"}, told.event(phone="+34600000002")]
    told.feed(*documents)
    told.run()
    assert told.value("campaign_read_bytes_total", HERE) == sum(len(orjson.dumps(each)) for each in documents)


def test_what_sent_no_byte_has_no_duration() -> None:
    for story in (no_connection, called_off):
        told = story()
        for answer in ("not_delivered", "withheld"):
            assert told.value("campaign_request_duration_seconds_count", {"answer": answer}) is None, story
    assert two_people().value("campaign_request_duration_seconds_sum", {"answer": "accepted"}) is not None


def test_delays_run_from_arrival_and_from_occurrence_to_the_acceptance() -> None:
    told = Told(platform=answering())
    told.time = 100.0
    told.feed(told.event(phone="+34600000001", occurredAt="2026-11-24T15:40:00Z"))  # 100 s before
    told.run()
    arrival = told.value("campaign_acceptance_delay_seconds_sum", NORMAL)
    assert arrival == pytest.approx(WINDOW_SECONDS + 0.5, abs=0.01)
    assert told.value("campaign_event_delay_seconds_sum", NORMAL) == pytest.approx(100 + (arrival or 0), abs=0.01)


# ---------------------------------------------------------------- gauges

EACH = {"topic": "contact-events", "partition": "1"}
GAUGES: Sequence[tuple[str, Mapping[str, str], float]] = (
    ("campaign_committed_offset", EACH, 10),
    ("campaign_watermark_offset", EACH, 12),
    ("campaign_position_offset", EACH, 15),
    ("campaign_log_end_offset", EACH, 17),
    ("campaign_lag_records", EACH, 5),
    ("campaign_lag_part_records", {**EACH, "part": "backlog"}, 2),
    ("campaign_lag_part_records", {**EACH, "part": "settling"}, 1),
    ("campaign_lag_seconds", EACH, 4.5),
    ("campaign_urgent_late_seconds", {}, 1.5),
    ("campaign_oldest_event_seconds", {"stage": "queued"}, 2.5),
    ("campaign_oldest_event_seconds", {"stage": "blocked"}, 0),
    ("campaign_held_events", EACH, 3),
    ("campaign_partitions", {"state": "owned"}, 2),
    ("campaign_holds", {}, 1),
    ("campaign_dry_run", {}, 1),
    ("campaign_test_recipients", {}, 3),
    ("campaign_hold_age_seconds", {}, 86_400.5),
    ("campaign_topic_retention_seconds", {"topic": "contact-events"}, 604_800.0),
    ("campaign_last_commit_age_seconds", {}, 0.4),
    ("campaign_checkpoint_age_seconds", {}, 4.2),
    ("campaign_partitions_paused", {}, 1),
    ("campaign_buffer_events", {}, 6),
    ("campaign_buffer_bytes", {}, 2048),
    ("campaign_buffer_max_events", {}, 100_000),
    ("campaign_buffer_max_bytes", {}, 268_435_456),
    ("campaign_read_past", {}, 1),
    ("campaign_bounded_partitions", {}, 2),
    ("campaign_parked_ranges", {}, 3),
    ("campaign_parked_age_seconds", {}, 75.25),
    ("campaign_windows_open", {}, 4),
    ("campaign_sends_queued", {}, 2),
    ("campaign_requests_in_flight", {}, 7),
    ("campaign_requests_in_flight_limit", {}, 32),
    ("campaign_access_state", {"state": "open"}, 1),
    ("campaign_breaker_state", {"state": "closed"}, 1),
    ("campaign_concurrency_limit", {}, 24),
    ("campaign_rate_limit", {"unit": "requests"}, 12.5),
    ("campaign_refused_campaigns", {}, 1),
    ("campaign_refused_campaign_seconds", {"campaign": "421"}, 61.5),
    ("campaign_deduplication_entries", {}, 106),
    ("campaign_deduplication_window_seconds", {}, 3600),
    ("campaign_service_state", {"state": "running"}, 1),
    ("campaign_verdict_grade", {}, 1),
    ("campaign_verdict_cause", {"cause": "holds"}, 1),
)


@pytest.mark.parametrize("name, labels, value", GAUGES, ids=str)
def test_a_gauge_says_what_the_status_says(name: str, labels: Mapping[str, str], value: float) -> None:
    told = telemetry()
    told.bind(status)
    assert told.metrics.registry.get_sample_value(name, dict(labels)) == value


def test_what_waits_and_what_is_out_is_told_apart() -> None:
    """The numbers behind `/status`: windows, sends that wait, sends with a slot, events held."""
    told = Told(policies=Policies(max_concurrency=1))
    told.people("+34600000009")
    told.feed(*(told.event(phone=f"+3460000000{each}", campaignId=1 + each % 2) for each in range(4)))
    pipeline, queue = told.pipeline, told.pipeline.queue
    told.turn()
    assert (len(pipeline.windows), queue.queued, queue.in_flight, pipeline.buffer.held_events) == (2, 0, 0, 4)
    told.time += WINDOW_SECONDS
    told.hear()
    told.pipeline.turn(at(told.time))  # its intent is on its way, nothing has been posted yet
    assert (len(pipeline.windows), queue.queued, queue.in_flight, pipeline.buffer.held_events) == (0, 1, 1, 4)


# ---------------------------------------------------------------- what the service tells by itself


def cancelled(told: Telemetry) -> None:
    """Three by an operator, and one by a setting."""
    settle(told, Status.CANCELLED, Reason.OPERATOR, count=3)
    settle(told, Status.CANCELLED, Reason.DRY_RUN)


P3_LABELS = {"topic": "contact-events", "partition": "3"}
FACTS: Sequence[tuple[Callable[[Telemetry], None], str, Mapping[str, str], float]] = (
    (lambda told: told.records_lost(P3, start=Offset(5), stop=Offset(9)), "campaign_records_lost_total", P3_LABELS, 4),
    (lambda told: told.records_read_again(P3, count=500), "campaign_records_read_again_total", P3_LABELS, 500),
    (lambda told: told.loop_delayed(seconds=0.25), "campaign_loop_delay_seconds_sum", {}, 0.25),
    (lambda told: told.dispatch_stopped(why=StopWhy.DENIED), "campaign_dispatch_stops_total", {"why": "denied"}, 1),
    (
        lambda told: told.results_published(topic="results", count=500, seconds=0.25),
        "campaign_published_records_total",
        {"topic": "results"},
        500,
    ),
    (
        lambda told: told.results_published(topic="results", count=500, seconds=0.25),
        "campaign_publish_duration_seconds_sum",
        {},
        0.25,
    ),
    (
        lambda told: told.producer_replaced(Producer.JOURNAL, why="KafkaTimeoutError"),
        "campaign_producers_replaced_total",
        {"producer": "journal"},
        1,
    ),
    (cancelled, "campaign_cancelled_total", {}, 3),
    # One commit may be for many partitions.
    (
        lambda told: told.committed({P3: Offset(10), P0: Offset(3)}, seconds=0.25),
        "campaign_commits_total",
        {"outcome": "committed"},
        1,
    ),
    (
        lambda told: told.committed({P3: Offset(10), P0: Offset(3)}, seconds=0.25),
        "campaign_commit_duration_seconds_sum",
        {},
        0.25,
    ),
    (lambda told: told.commit_failed([P3, P0]), "campaign_commits_total", {"outcome": "failed"}, 1),
    (
        lambda told: told.commit_rewound(P3, committed=Offset(1), watermark=Offset(9)),
        "campaign_rewinds_total",
        P3_LABELS,
        1,
    ),
    (
        lambda told: told.commit_skipped(P3, watermark=Offset(9), committed=Offset(19)),
        "campaign_skipped_offsets_total",
        P3_LABELS,
        10,
    ),
    (
        lambda told: told.partition_claimed(P3, claim_offset=JournalOffset(4)),
        "campaign_claims_total",
        P3_LABELS,
        1,
    ),
    (
        lambda told: told.partition_owned(P3, seconds=0.25, watermark=Offset(9), unknown_attempts=0),
        "campaign_takeover_duration_seconds_sum",
        {},
        0.25,
    ),
    (lambda told: told.partitions_assigned([P3, P0]), "campaign_rebalances_total", {}, 1),
    (lambda told: told.rebalanced(seconds=0.25), "campaign_rebalance_duration_seconds_sum", {}, 0.25),
    (lambda told: told.checkpoints_proven(seconds=[0.25, 0.5]), "campaign_checkpoint_duration_seconds_count", {}, 2),
    (
        lambda told: told.partitions_revoked([P3, P0], seconds=0.25),
        "campaign_revoke_duration_seconds_sum",
        {},
        0.25,
    ),
    (lambda told: told.partition_lost(P3, claimed_by="x"), "campaign_partitions_lost_total", P3_LABELS, 1),
    (lambda told: told.partition_stopped(P3, why="x", cure="y"), "campaign_partition_stops_total", P3_LABELS, 1),
    (
        lambda told: told.foreign_claims(P3, group="g", member="m", count=2),
        "campaign_foreign_claims_total",
        P3_LABELS,
        2,
    ),
    (
        lambda told: told.journal_appended(P3, entries=3, seconds=0.25),
        "campaign_journal_entries_total",
        P3_LABELS,
        3,
    ),
    (
        lambda told: told.journal_appended(P3, entries=3, seconds=0.25),
        "campaign_journal_append_duration_seconds_sum",
        {},
        0.25,
    ),
    (lambda told: told.journal_void(P3, entries=2), "campaign_journal_void_entries_total", P3_LABELS, 2),
    (lambda told: told.journal_unsure(P3, why="x"), "campaign_journal_unsure_total", P3_LABELS, 1),
    (
        lambda told: told.journal_strays(P3, offsets=[JournalOffset(2), JournalOffset(5)]),
        "campaign_journal_stray_records_total",
        P3_LABELS,
        2,
    ),
    (
        lambda told: told.message_cut("results", P3, offset=Offset(7)),
        "campaign_cut_messages_total",
        {"topic": "results"},
        1,
    ),
    (
        lambda told: told.unexpected_error(during=During.ANSWER, error=ValueError()),
        "campaign_unexpected_errors_total",
        {"during": "answer"},
        1,
    ),
)


@pytest.mark.parametrize("fact, name, labels, value", FACTS, ids=lambda one: one if isinstance(one, str) else "")
def test_a_fact_counts_what_it_says(
    fact: Callable[[Telemetry], None], name: str, labels: Mapping[str, str], value: float
) -> None:
    told = telemetry()
    fact(told)
    assert told.metrics.registry.get_sample_value(name, dict(labels)) == value


IN_TESTS_OF_THEIR_OWN = {
    "campaign_window_age_seconds",
    "campaign_queue_wait_seconds",
    "campaign_read_bytes_total",
    "campaign_request_duration_seconds",
    "campaign_event_delay_seconds",
    "campaign_build_info",
}


def test_no_metric_is_left_out_of_these_tables() -> None:
    tabled = {name for table in (STORIES, FACTS) for _, name, _, _ in table} | {name for name, _, _ in GAUGES}
    named = {name.removesuffix("_sum").removesuffix("_count") for name in tabled}
    ours = {described.name for described in Metrics().described()} - {described.name for described in PROCESS}
    assert ours - IN_TESTS_OF_THEIR_OWN == named - IN_TESTS_OF_THEIR_OWN, "give a new metric a line in STORIES or FACTS"

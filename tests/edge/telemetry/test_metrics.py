"""Promises about the metrics as Prometheus and the readers of their page see them."""

import re
from collections.abc import Iterable
from typing import get_args

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from consumer.core.outcome import Reason, Status
from consumer.core.sending.window import CloseWhy
from consumer.core.terms import JournalOffset, Offset, Partition
from consumer.edge.telemetry.meters import Distribution
from consumer.edge.telemetry.metric_groups import GROUPS
from consumer.edge.telemetry.metrics import SETTLEMENTS, Metrics
from consumer.edge.telemetry.metrics_page import VALUES, page
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.facts import AnswerClass, During, Priority, Producer, RetryReason, StopWhy
from consumer.service.status_shape import AccessState, BreakerState, LagPart, PartitionState, ServiceState
from consumer.service.waiting_shape import OldestAges
from tests.edge.support import AMONG, P3, accept, doubled, request, settle, status, telemetry

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_seconds", "_contacts"),
    "gauge": (
        *("_seconds", "_bytes", "_offset", "_records", "_events", "_entries", "_state", "_info", "_fds"),
        *("_partitions", "_paused", "_open", "_queued", "_in_flight", "_limit", "_campaigns"),
        *("_grade", "_cause"),
    ),
}


def everything() -> Telemetry:
    """Return a service's telemetry after every fact that moves a metric was told at least once."""
    told = telemetry(campaigns=(421,))
    told.bind(status)
    told.records_read(P3, count=500, value_bytes=200_000)
    told.records_read_again(P3, count=500)
    told.decoded_invalid(P3, reason=Reason.NOT_JSON, offsets=[Offset(7), Offset(9)])
    told.unknown_field(P3, name="expireAt", meant="expiresAt", count=3, among=AMONG)
    told.records_lost(P3, start=Offset(5), stop=Offset(9))
    told.loop_delayed(seconds=0.002)
    for campaign, priority in ((421, Priority.NORMAL), (7, Priority.IMMEDIATE)):
        told.send_posted(request(campaign, priority=priority, contacts=500), waited_seconds=0.1)
    told.windows_closed(why=CloseWhy.AGE, ages_seconds=[2.0])
    told.send_answered(request(contacts=500), answer=AnswerClass.ACCEPTED, status=200, seconds=0.02)
    told.send_answered(request(contacts=1), answer=AnswerClass.UNKNOWN, status=None, seconds=10)
    told.send_split(request(7, contacts=2), status=422)
    told.send_retried(request(7), reason=RetryReason.THROTTLED, delay_seconds=1)
    told.attempts_unknown(request(), reason=Reason.ANSWER_LOST)
    told.dispatch_stopped(why=StopWhy.DENIED)
    settle(told, Status.ACCEPTED, None, count=500)
    told.objectives_judged(priority=Priority.NORMAL, events=500, good=499)
    doubled(told)
    accept(told, request(421), 2.0, 2.1)
    told.results_published(topic="campaign-send-results", count=500, seconds=0.003)
    told.producer_replaced(Producer.JOURNAL, why="KafkaTimeoutError")
    told.committed({P3: Offset(10)}, seconds=0.002)
    told.partitions_assigned([P3])
    told.rebalanced(seconds=0.3)
    told.checkpoints_proven(seconds=[0.001])
    told.commit_failed([P3])
    told.commit_rewound(P3, committed=Offset(1), watermark=Offset(9))
    told.commit_skipped(P3, watermark=Offset(9), committed=Offset(19))
    told.partitions_revoked([P3], seconds=0.1)
    told.partition_claimed(P3, claim_offset=Offset(4))  # type: ignore[arg-type]
    told.partition_owned(P3, seconds=0.2, watermark=Offset(9), unknown_attempts=0)
    told.partition_lost(P3, claimed_by="other")
    told.partition_stopped(P3, why="x", cure="y")
    told.journal_appended(P3, entries=3, seconds=0.001)
    told.foreign_claims(P3, group="other", member="m", count=1)
    told.writes_refused(P3, why="TopicAuthorizationFailedError")
    told.message_cut("results", P3, offset=Offset(7))
    told.journal_void(P3, entries=1)
    told.journal_strays(P3, offsets=[JournalOffset(7)])
    told.journal_unsure(P3, why="x")
    return told


def families(told: Telemetry, accept: str) -> dict[str, Metric]:
    _, body = told.exposition(accept)
    parse = openmetrics_families if accept else text_families
    parsed: Iterable[Metric] = parse(body.decode())
    return {family.name: family for family in parsed}


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_prometheus_reads_exactly_the_metrics_that_are_documented(accept: str) -> None:
    read = families(everything(), accept)
    documented = {d.name.removesuffix("_total") if d.kind == "counter" else d.name: d for d in Metrics().described()}
    assert read.keys() == documented.keys()
    for name, family in read.items():
        assert family.type == documented[name].kind, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(documented[name].labels), sample


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_every_metric_has_a_sample_once_its_fact_was_told(accept: str) -> None:
    empty = [name for name, family in families(everything(), accept).items() if not family.samples]
    assert empty == []


COUNTED_THINGS = (
    *("campaign_partitions", "campaign_holds", "campaign_dry_run", "campaign_test_recipients"),
    *("campaign_read_past", "campaign_parked_ranges"),
)
"""Gauges that are named after what they count, and nothing else."""


def test_names_follow_prometheus_rules() -> None:
    for described in Metrics().described():
        assert re.fullmatch(r"campaign(_[a-z]+)+", described.name), described.name
        assert described.name.endswith(SUFFIXES[described.kind]) or described.name in COUNTED_THINGS, described
        assert described.kind == "counter" or not described.name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert not re.search(r"_(milliseconds|ms|minutes|kib|mib|kilobytes)\b", described.name), described.name
        assert described.meaning
        assert not described.meaning.endswith(".")


def test_units_are_declared_to_openmetrics() -> None:
    read = families(everything(), OPENMETRICS)
    assert read["campaign_acceptance_delay_seconds"].unit == "seconds"
    assert read["campaign_read_bytes"].unit == "bytes"
    assert read["campaign_records_read"].unit == ""


def test_labels_are_bounded_by_configuration_and_enums() -> None:
    allowed = {
        *("topic", "partition", "status", "reason", "campaign", "priority", "answer", "code", "why", "state"),
        *("outcome", "during", "producer", "version", "python", "meant", "cause", "part", "stage", "unit"),
    }
    for described in Metrics().described():
        assert set(described.labels) <= allowed, described


def test_a_histogram_by_campaign_has_few_buckets() -> None:
    for family in Metrics().families():
        if isinstance(family, Distribution) and "campaign" in family.described.labels:
            assert len(family.bounds) <= 8, "each of 20 campaigns has them in each scrape"


def test_campaigns_without_settings_of_their_own_share_one_label() -> None:
    told = telemetry(campaigns=(421,))
    for campaign in (421, *range(1000, 2000)):
        told.send_posted(request(campaign, priority=Priority.NORMAL, contacts=1), waited_seconds=None)
    assert told.metrics.requests.totals("campaign") == {"421": 1, "other": 1000}


def test_odd_answers_of_the_platform_cannot_blow_up_the_number_of_series() -> None:
    told = telemetry()
    for code in (None, *range(1000)):
        told.send_answered(request(contacts=1), answer=AnswerClass.REFUSED, status=code, seconds=0.1)
    codes = told.metrics.answers.totals("code")
    assert codes["200"] == codes["429"] == codes["none"] == 1
    assert len(codes) <= 32
    assert sum(codes.values()) == 1001


def test_every_status_of_the_contract_stands_at_zero_before_it_happens() -> None:
    told = telemetry()
    results = families(told, "")["campaign_results"]
    assert {sample.labels["status"] for sample in results.samples} == set(Status)
    assert {sample.labels["reason"] for sample in results.samples} == {*Reason, "none"}
    assert all(sample.value == 0 for sample in results.samples)
    assert len(set(SETTLEMENTS)) == len(SETTLEMENTS)


def test_what_is_not_known_yet_has_no_sample_instead_of_a_wrong_one() -> None:
    told = telemetry()

    def unknown_lag() -> object:
        now = status(1)
        now["partitions"][0] |= {"lag": None, "lag_parts": None, "lag_seconds": None}
        return now

    told.bind(unknown_lag)  # type: ignore[arg-type]
    read = families(told, "")
    for name in ("campaign_lag_records", "campaign_lag_part_records", "campaign_lag_seconds"):
        assert read[name].samples == [], name
    assert read["campaign_held_events"].samples[0].value == 3


def test_gauges_say_what_the_status_says() -> None:
    registry = everything().metrics.registry
    at = {"topic": "contact-events", "partition": "1"}
    assert registry.get_sample_value("campaign_lag_records", at) == 5
    assert registry.get_sample_value("campaign_watermark_offset", at) == 12
    assert registry.get_sample_value("campaign_partitions", {"state": "owned"}) == 2
    assert registry.get_sample_value("campaign_partitions", {"state": "stopped"}) == 0
    assert registry.get_sample_value("campaign_partitions_paused") == 1
    assert registry.get_sample_value("campaign_access_state", {"state": "open"}) == 1
    assert registry.get_sample_value("campaign_access_state", {"state": "stopped"}) == 0
    assert registry.get_sample_value("campaign_requests_in_flight") == 7
    assert registry.get_sample_value("campaign_deduplication_window_seconds") == 3600


def test_a_batch_of_contacts_shows_in_requests_and_contacts() -> None:
    registry = everything().metrics.registry
    assert registry.get_sample_value("campaign_request_contacts_count", {"priority": "normal"}) == 1
    assert registry.get_sample_value("campaign_request_contacts_sum", {"priority": "normal"}) == 500
    assert registry.get_sample_value("campaign_acceptance_delay_seconds_count", {"priority": "normal"}) == 2
    assert registry.get_sample_value("campaign_skipped_offsets_total", {"topic": P3.topic, "partition": "3"}) == 10


def test_the_page_explains_every_value_of_the_closed_lists_and_no_other() -> None:
    lists: dict[str, Iterable[str]] = {
        "campaign_access_state": get_args(AccessState),
        "campaign_breaker_state": get_args(BreakerState),
        "campaign_rate_limit": ("requests", "contacts"),
        "campaign_answers_total": AnswerClass,
        "campaign_commits_total": ("committed", "failed"),
        "campaign_window_age_seconds": CloseWhy,
        "campaign_dispatch_stops_total": StopWhy,
        "campaign_partitions": get_args(PartitionState),
        "campaign_lag_part_records": get_args(LagPart),
        "campaign_oldest_event_seconds": OldestAges.__required_keys__,
        "campaign_producers_replaced_total": Producer,
        "campaign_request_duration_seconds": AnswerClass,
        "campaign_retries_total": RetryReason,
        "campaign_service_state": get_args(ServiceState),
        "campaign_unexpected_errors_total": During,
        "campaign_unknown_outcomes_total": (Reason.ANSWER_LOST, Reason.SERVER_ERROR, Reason.OWNER_LOST),
    }
    assert {metric: set(values) for (metric, _), values in VALUES.items()} == {
        metric: {str(value) for value in values} for metric, values in lists.items()
    }
    labels = {described.name: described.labels for described in Metrics().described()}
    assert all(label in labels[metric] for metric, label in VALUES)


def test_the_page_has_a_row_for_every_metric_and_the_buckets_of_every_histogram() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    for each in Metrics().described():
        named = [row for row in rows if row.startswith(f"| `{each.name}` | {each.kind} | ")]
        assert len(named) == 1, each.name
        assert named[0].endswith(f" | {each.meaning} |")
    assert "| `campaign_loop_delay_seconds` | 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5 |" in rows


def test_every_metric_stands_under_one_question() -> None:
    grouped = [f"campaign_{name}" for group in GROUPS for name in group.names]
    assert sorted(grouped) == [each.name for each in Metrics().described()]


def test_the_page_names_no_metric_that_there_is_not() -> None:
    known = {each.name for each in Metrics().described()} | {"campaign_process_"}
    assert set(re.findall(r"campaign_[a-z_]+", page())) <= known


def test_a_scrape_of_a_service_with_64_partitions_stays_small() -> None:
    told = everything()
    for number in range(64):
        told.records_read(Partition("contact-events", number), count=1, value_bytes=1)
        told.journal_appended(Partition("contact-events", number), entries=1, seconds=0.001)
    told.bind(lambda: status(64))
    _, body = told.exposition("")
    assert len(body) < 150_000  # 30,000 of them are lag by its seven parts

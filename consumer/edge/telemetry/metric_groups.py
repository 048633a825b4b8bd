"""Which question each metric answers, in the order in which somebody on call asks. Declares no metric."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricGroup:
    """Metrics that answer one question. Names are without the prefix `campaign_`, in the order of reading."""

    question: str
    how_to_read: str
    names: tuple[str, ...]


SENDING: Final = MetricGroup(
    question="Are we sending?",
    how_to_read="`campaign_verdict_grade` says how the service stands, `campaign_verdict_cause` why; `/status` has the sentence. Requests "
    "and results a second tell how much goes out.",
    names=(
        *("verdict_grade", "verdict_cause", "service_state", "access_state", "partitions", "records_read_total"),
        *("read_bytes_total", "requests_total", "request_contacts", "requests_in_flight", "requests_in_flight_limit"),
        *("published_records_total", "build_info"),
    ),
)
LATENESS: Final = MetricGroup(
    question="How late are we?",
    how_to_read="Alert on ages: `campaign_lag_seconds` and `campaign_oldest_event_seconds` grow while nothing goes out. Histograms know "
    "what has happened, and stand still exactly then. The two counters of the objectives are for alerts by burn rate.",
    names=(
        *("lag_seconds", "urgent_late_seconds", "lag_records", "lag_part_records", "oldest_event_seconds"),
        *("slo_events_total", "slo_good_events_total", "acceptance_delay_seconds", "event_delay_seconds"),
        *("campaign_acceptance_delay_seconds", "window_age_seconds", "queue_wait_seconds", "request_duration_seconds"),
        *("log_end_offset", "position_offset", "watermark_offset", "committed_offset", "topic_retention_seconds"),
    ),
)
FAILURES: Final = MetricGroup(
    question="What fails, and why?",
    how_to_read="Results say what became of events, answers what the platform said of requests. Unknown outcomes are the price of "
    "`DELIVERY__ON_UNKNOWN_OUTCOME`, possible duplicates are the texts that it may have cost.",
    names=(
        *("results_total", "campaign_results_total", "answers_total", "retries_total", "splits_total"),
        *("unknown_outcomes_total", "possible_duplicates_total", "invalid_records_total", "unknown_fields_total"),
        *("cut_messages_total", "records_lost_total", "skipped_offsets_total", "cancelled_total"),
    ),
)
HOLDING: Final = MetricGroup(
    question="What holds us?",
    how_to_read="Whatever waits is in one part of `campaign_lag_part_records`; these say what it waits for: the platform, operators, "
    "room in the buffer, the journal, a person.",
    names=(
        *("dispatch_stops_total", "refused_campaigns", "refused_campaign_seconds", "holds", "hold_age_seconds"),
        *("windows_open", "sends_queued", "held_events", "buffer_events", "buffer_max_events", "buffer_bytes"),
        *(
            "buffer_max_bytes",
            "read_past",
            "bounded_partitions",
            "parked_ranges",
            "parked_age_seconds",
            "records_read_again_total",
        ),
        *("partitions_paused", "partition_stops_total", "journal_unsure_total"),
        *("breaker_state", "concurrency_limit", "rate_limit", "dry_run", "test_recipients"),
    ),
)
MACHINE: Final = MetricGroup(
    question="How does the machine do?",
    how_to_read="Brokers first: appends, publications, commits and checkpoints with their durations. Then the group, then the process: a "
    "loop that is late delays everything.",
    names=(
        *("journal_append_duration_seconds", "publish_duration_seconds", "commits_total", "commit_duration_seconds"),
        *("last_commit_age_seconds", "checkpoint_duration_seconds", "checkpoint_age_seconds", "journal_entries_total"),
        *("journal_void_entries_total", "journal_stray_records_total", "producers_replaced_total", "rebalances_total"),
        *("rebalance_duration_seconds", "revoke_duration_seconds", "takeover_duration_seconds", "claims_total"),
        *("partitions_lost_total", "foreign_claims_total", "rewinds_total", "deduplication_entries"),
        *("deduplication_window_seconds", "loop_delay_seconds", "unexpected_errors_total", "process_cpu_seconds_total"),
        *("process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds", "process_max_fds"),
        *("process_start_time_seconds",),
    ),
)
GROUPS: Final = (SENDING, LATENESS, FAILURES, HOLDING, MACHINE)

WAY: Final = (
    (
        "unread",
        '`campaign_lag_part_records{part="backlog"}`',
        "-",
        "`campaign_lag_seconds`",
    ),
    (
        "parked",
        '`campaign_lag_part_records{part="parked"}`',
        "-",
        "`campaign_parked_age_seconds`",
    ),
    (
        "in a window",
        "`campaign_windows_open`",
        "`campaign_window_age_seconds`",
        '`campaign_oldest_event_seconds{stage="in_window"}`',
    ),
    (
        "in the queue",
        "`campaign_sends_queued`",
        "`campaign_queue_wait_seconds`",
        '`campaign_oldest_event_seconds{stage="queued"}`',
    ),
    (
        "blocked",
        '`campaign_lag_part_records{part="blocked"}`',
        "`campaign_queue_wait_seconds`",
        '`campaign_oldest_event_seconds{stage="blocked"}`, `campaign_hold_age_seconds`',
    ),
    (
        "in a request",
        "`campaign_requests_in_flight`",
        "`campaign_request_duration_seconds`",
        '`campaign_oldest_event_seconds{stage="in_flight"}`',
    ),
    (
        "accepted",
        "`campaign_results_total`",
        "`campaign_acceptance_delay_seconds`, `campaign_event_delay_seconds`",
        "-",
    ),
    (
        "outcome on its way",
        '`campaign_lag_part_records{part="settling"}`',
        "`campaign_journal_append_duration_seconds`, `campaign_publish_duration_seconds`",
        '`campaign_oldest_event_seconds{stage="settling"}`',
    ),
    (
        "committed",
        "`campaign_commits_total`",
        "`campaign_commit_duration_seconds`",
        "`campaign_last_commit_age_seconds`",
    ),
    (
        "in a checkpoint",
        "-",
        "`campaign_checkpoint_duration_seconds`",
        "`campaign_checkpoint_age_seconds`",
    ),
)
"""The stages of an event's way: how many are there, how long it took those that have passed, and how old the eldest is."""

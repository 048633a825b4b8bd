"""Every metric of the service: name, labels, meaning. Never decides when one changes.

Labels are bounded: topics and campaigns by configuration, partitions by the topics, the rest by enums.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector

from consumer.core.outcome import Reason, Status
from consumer.core.sending.window import CloseWhy
from consumer.edge.telemetry.gauges import PARTITION, READINGS
from consumer.edge.telemetry.meters import Counters, Described, Distribution, GaugeReadings, Key
from consumer.service.facts import AnswerClass, During, Priority, Producer, RetryReason, StopWhy

DELAY_SECONDS = (
    *(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),  # an OTP does not wait for a window
    *(1.5, 2, 2.5, 3, 4, 5, 10),  # a bulk event waits for its window, 2 s by default
    *(30, 60, 300, 900, 3600, 14_400, 86_400),  # backlog and back-off, up to KAFKA__MAX_EVENT_AGE
)
CAMPAIGN_SECONDS = (1, 2, 3, 5, 15, 60, 600, 3600)  # few: each campaign with a label has them
EXCHANGE_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)  # API__TIMEOUT is 10
APPEND_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)  # proofs wait 2, appends 5
HANDOVER_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)  # a revoke has 10, a rebalance 45
WINDOW_SECONDS = (0.01, 0.05, 0.1, 0.2, 0.5, 1, 1.5, 2, 2.5, 3, 5, 10, 30, 60, 300, 3600)  # WINDOW__DURATION is 2
WAIT_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600)  # a slot, a pause, an outage
LOOP_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
CONTACTS = (1, 2, 5, 10, 20, 50, 100, 200, 300, 400, 450, 499, 500, 1000)  # WINDOW__MAX_CONTACTS is 500

SETTLEMENTS: tuple[tuple[Status, Reason | None], ...] = (
    *((Status.ACCEPTED, reason) for reason in (None, Reason.PLATFORM_REPORTED_ERRORS, Reason.UNREADABLE_ANSWER)),
    *((Status.REJECTED, reason) for reason in (Reason.CONTACT_REFUSED, Reason.CAMPAIGN_REFUSED)),
    *((Status.REJECTED, reason) for reason in (Reason.SCHEDULE_NOT_CONFIGURED, Reason.HELD)),
    *((Status.FAILED, reason) for reason in (Reason.RETRIES_EXHAUSTED, Reason.RETRY_AGE)),
    *((Status.EXPIRED, reason) for reason in (Reason.DEADLINE, Reason.TOO_OLD)),
    *((Status.SUPERSEDED, reason) for reason in (Reason.NEWER_EVENT, Reason.OLDER_EVENT)),
    (Status.DUPLICATE, Reason.REPEATED),
    *((Status.INVALID, reason) for reason in (Reason.NOT_UTF8, Reason.NOT_JSON, Reason.NOT_AN_OBJECT)),
    *((Status.INVALID, reason) for reason in (Reason.SCHEMA, Reason.TOO_LARGE, Reason.TOMBSTONE)),
    *((Status.CANCELLED, reason) for reason in (Reason.OPERATOR, Reason.DRY_RUN, Reason.NOT_A_TEST_RECIPIENT)),
    *((Status.IN_DOUBT, reason) for reason in (Reason.ANSWER_LOST, Reason.SERVER_ERROR, Reason.OWNER_LOST)),
)
"""Every status with every reason that the contract gives it."""


PROCESS = tuple(
    Described(name=f"campaign_process_{name}", kind=kind, labels=(), meaning=meaning)
    for name, kind, meaning in (
        ("cpu_seconds_total", "counter", "CPU time of the process, user and system"),
        ("resident_memory_bytes", "gauge", "Memory that the process uses"),
        ("virtual_memory_bytes", "gauge", "Address space of the process"),
        ("start_time_seconds", "gauge", "When the process started, since 1970"),
        ("open_fds", "gauge", "File descriptors that the process has open"),
        ("max_fds", "gauge", "How many file descriptors the process may have open"),
    )
)
"""What the Prometheus client reads off `/proc` (Linux alone)."""


def counter(name: str, labels: tuple[str, ...], meaning: str, *, known: Iterable[Key] = ()) -> Counters:
    """Declare a counter."""
    return Counters(Described(name=name, kind="counter", labels=labels, meaning=meaning), known=known)


def distribution(
    name: str, labels: tuple[str, ...], meaning: str, *, bounds: tuple[float, ...], known: Iterable[Key] = ()
) -> Distribution:
    """Declare a histogram."""
    described = Described(name=name, kind="histogram", labels=labels, meaning=meaning)
    return Distribution(described, bounds=bounds, known=known)


class Metrics:
    """All metric families, in one registry. The attribute names are ours; `counter(...)` gives the exported name."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.gauges = GaugeReadings(READINGS)
        self._reading()
        self._waiting()
        self._sending()
        self._outcomes()
        self._judged()
        self._publishing()
        self._ownership()
        self._journal()
        for family in (*self.families(), self.gauges):
            self.registry.register(family)
        ProcessCollector(namespace="campaign", registry=self.registry)

    def _reading(self) -> None:
        self.records_read = counter(
            "campaign_records_read_total",
            PARTITION,
            "Records read from the events topics; parked ones count as soon as there is room for each, and once more where "
            "that is parked again",
        )
        self.bytes_read = counter("campaign_read_bytes_total", PARTITION, "Bytes of the values of records read")
        self.records_read_again = counter(
            "campaign_records_read_again_total",
            PARTITION,
            "Records read a second time or more, on the way to parked ones",
        )
        self.invalid = counter(
            "campaign_invalid_records_total", (*PARTITION, "reason"), "Records that are no valid event, by `reason`"
        )
        self.unknown_fields = counter(
            "campaign_unknown_fields_total",
            ("meant",),
            "Unknown fields of events whose name is nearly that of a known field, `meant`",
        )
        self.records_lost = counter("campaign_records_lost_total", PARTITION, "Offsets that retention removed unread")
        self.unexpected_errors = counter(
            "campaign_unexpected_errors_total",
            ("during",),
            "Unexpected errors that did no harm; each is a bug to be reported",
            known=[(during,) for during in During],
        )
        self.loop_delay = distribution(
            "campaign_loop_delay_seconds", (), "How late the event loop's timers fire", bounds=LOOP_SECONDS
        )

    def _waiting(self) -> None:
        self.window_age = distribution(
            "campaign_window_age_seconds",
            ("why",),
            "From the arrival of a window's first event to the window's close, by the reason of the close",
            bounds=WINDOW_SECONDS,
            known=[(why,) for why in CloseWhy],
        )
        self.queue_wait = distribution(
            "campaign_queue_wait_seconds",
            ("priority",),
            "From a window's close to the first byte of its first request: the wait for a slot, a limit, the platform, the journal",
            bounds=WAIT_SECONDS,
            known=[(priority,) for priority in Priority],
        )

    def _sending(self) -> None:
        self.requests = counter(
            "campaign_requests_total",
            ("campaign", "priority"),
            "Requests started; `campaign` is an ID that has a label (`METRICS__CAMPAIGN_LABELS`), or `other`",
        )
        self.request_contacts = distribution(
            "campaign_request_contacts",
            ("priority",),
            "Contacts in a request; the sum of all is the number of contacts posted",
            bounds=CONTACTS,
            known=[(priority,) for priority in Priority],
        )
        self.answers = counter(
            "campaign_answers_total",
            ("answer", "code"),
            "Ends of attempts by meaning and HTTP status (`none`: no complete head; rare statuses as `4xx`)",
        )
        self.request_duration = distribution(
            "campaign_request_duration_seconds",
            ("answer",),
            "From the first byte of a request to the end of the attempt; attempts that sent no byte count in `campaign_answers_total` alone",
            bounds=EXCHANGE_SECONDS,
            known=[(AnswerClass.ACCEPTED,)],
        )
        self.splits = counter("campaign_splits_total", (), "Refused requests that were halved")
        self.retries = counter(
            "campaign_retries_total", ("reason",), "Sends put back to try again", known=[(r,) for r in RetryReason]
        )
        self.unknown = counter(
            "campaign_unknown_outcomes_total",
            ("reason",),
            "Contacts of attempts whose fate is unknown; `owner_lost`: a take-over found the attempt",
            known=[(Reason.ANSWER_LOST,), (Reason.SERVER_ERROR,), (Reason.OWNER_LOST,)],
        )
        self.dispatch_stops = counter(
            "campaign_dispatch_stops_total",
            ("why",),
            "Times that sending stopped because of the platform; the probes that follow are not counted",
            known=[(w,) for w in StopWhy],
        )

    def _outcomes(self) -> None:
        self.results = counter(
            "campaign_results_total",
            ("status", "reason"),
            "Outcomes of records; counted again where a take-over publishes a former owner's result again",
            known=SETTLEMENTS,
        )
        self.campaign_results = counter(
            "campaign_campaign_results_total",
            ("campaign", "status", "reason"),
            "Outcomes of records by campaign, counted as `campaign_results_total` is; `campaign` is an ID that has a label (`METRICS__CAMPAIGN_LABELS`), `other`, or `none` where a record names no campaign",
        )
        self.cancelled = counter(
            "campaign_cancelled_total",
            (),
            "Events that settled `cancelled` by the word of an operator: `campaign-consumer campaigns cancel`",
        )
        self.possible_duplicates = counter(
            "campaign_possible_duplicates_total",
            (),
            "Contacts that were accepted with `possibleDuplicate`; counted as `campaign_results_total` is",
        )
        self.acceptance_delay = distribution(
            "campaign_acceptance_delay_seconds",
            ("priority",),
            "From a record's arrival in the process to its acceptance by the platform",
            bounds=DELAY_SECONDS,
            known=[(priority,) for priority in Priority],
        )
        self.campaign_acceptance_delay = distribution(
            "campaign_campaign_acceptance_delay_seconds",
            ("campaign",),
            "From a record's arrival in the process to its acceptance by the platform, by campaign: an ID that has a label (`METRICS__CAMPAIGN_LABELS`), or `other`",
            bounds=CAMPAIGN_SECONDS,
        )
        self.event_delay = distribution(
            "campaign_event_delay_seconds",
            ("priority",),
            "From an event's `occurredAt` to its acceptance by the platform",
            bounds=DELAY_SECONDS,
            known=[(priority,) for priority in Priority],
        )

    def _judged(self) -> None:
        self.slo_events = counter(
            "campaign_slo_events_total",
            ("priority",),
            "Events that count for the objectives: accepted, failed, expired or in doubt, and not scheduled, nor late because of a hold or the sender",
            known=[(priority,) for priority in Priority],
        )
        self.slo_good_events = counter(
            "campaign_slo_good_events_total",
            ("priority",),
            "Events that count for the objectives and were accepted in time: from the record's Kafka timestamp, 5 s for immediate events, the window and 30 s for others",
            known=[(priority,) for priority in Priority],
        )

    def _publishing(self) -> None:
        self.published = counter(
            "campaign_published_records_total", ("topic",), "Results and dead letters acknowledged by the brokers"
        )
        self.cuts = counter(
            "campaign_cut_messages_total",
            ("topic",),
            "Parts that were left out of results and dead letters because their topic takes nothing so large",
        )
        self.publish_duration = distribution(
            "campaign_publish_duration_seconds",
            (),
            "How long publishing a batch of results or dead letters takes, acknowledgement included",
            bounds=APPEND_SECONDS,
        )
        self.commits = counter(
            "campaign_commits_total",
            ("outcome",),
            "Commits of the group's offsets",
            known=[("committed",), ("failed",)],
        )
        self.commit_duration = distribution(
            "campaign_commit_duration_seconds",
            (),
            "How long a commit of the group's offsets takes, acknowledgement included",
            bounds=APPEND_SECONDS,
        )

    def _ownership(self) -> None:
        self.claims = counter(
            "campaign_claims_total", PARTITION, "Claims that were written to the journal; a take-over follows each"
        )
        self.takeover_duration = distribution(
            "campaign_takeover_duration_seconds",
            (),
            "From the claim of a partition to the first record that may be read",
            bounds=HANDOVER_SECONDS,
        )
        self.revoke_duration = distribution(
            "campaign_revoke_duration_seconds", (), "How long handing partitions back takes", bounds=HANDOVER_SECONDS
        )
        self.rebalances = counter("campaign_rebalances_total", (), "Assignments that the group gave this member")
        self.rebalance_duration = distribution(
            "campaign_rebalance_duration_seconds",
            (),
            "From a revoke (or a member's first assignment) until each assigned partition is at work, or waits for an operator",
            bounds=HANDOVER_SECONDS,
        )
        self.lost = counter(
            "campaign_partitions_lost_total",
            PARTITION,
            "Times that the partition was lost to another member's claim",
        )
        self.foreign_claims = counter(
            "campaign_foreign_claims_total", PARTITION, "Claims of other consumer groups in the partition's journal"
        )
        self.stops = counter(
            "campaign_partition_stops_total", PARTITION, "Times that the partition stopped until an operator decides"
        )
        self.rewinds = counter(
            "campaign_rewinds_total", PARTITION, "Times that a tool moved the group's offset back, which has no effect"
        )
        self.skipped = counter(
            "campaign_skipped_offsets_total",
            PARTITION,
            "Offsets that are never sent because a tool moved the group forward",
        )

    def _journal(self) -> None:
        self.journal_entries = counter("campaign_journal_entries_total", PARTITION, "Journal entries appended")
        self.journal_duration = distribution(
            "campaign_journal_append_duration_seconds",
            (),
            "How long an append to the journal takes, acknowledgement included",
            bounds=APPEND_SECONDS,
        )
        self.checkpoint_duration = distribution(
            "campaign_checkpoint_duration_seconds",
            (),
            "From the moment that a partition's checkpoint is due to its acknowledgement by the journal",
            bounds=APPEND_SECONDS,
        )
        self.journal_void = counter(
            "campaign_journal_void_entries_total",
            PARTITION,
            "Journal entries that landed at another offset than expected",
        )
        self.journal_strays = counter(
            "campaign_journal_stray_records_total",
            PARTITION,
            "Records in the journal that are no entries, and are passed over",
        )
        self.journal_unsure = counter(
            "campaign_journal_unsure_total",
            PARTITION,
            "Appends to the journal without acknowledgement; a new claim follows each",
        )
        self.producers_replaced = counter(
            "campaign_producers_replaced_total",
            ("producer",),
            "Kafka producers that failed and were replaced",
            known=[(producer,) for producer in Producer],
        )

    def families(self) -> list[Counters | Distribution]:
        """Return counters and histograms, without the gauges."""
        return [family for family in vars(self).values() if isinstance(family, Counters | Distribution)]

    def described(self) -> list[Described]:
        """Return every family, sorted by name."""
        families = [family.described for family in self.families()]
        readings = [reading.described for reading in self.gauges.readings]
        return sorted((*families, *readings, *PROCESS), key=lambda described: described.name)

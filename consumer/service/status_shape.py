"""The types of `GET /status` and of a health answer, shared with `edge`. Holds types only; computes no value.

Campaign IDs are strings here: they go up to 2^63 - 1, and a browser's numbers are exact only up to 2^53.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from consumer.service.waiting_shape import OldestAges, OpenRequest, OpenWindow, WaitingCampaign

ServiceState = Literal["starting", "running", "draining"]
PartitionState = Literal["claiming", "reading", "owned", "unsure", "lost", "stopped"]
"""`claiming`: its claim is being written. `reading`: the journal is being read. `owned`: at work. `unsure`: an append
was not acknowledged, no new send takes its events. `lost`: another member has claimed it. `stopped`: a person
must decide, `why` says what."""
AccessState = Literal["first_contact", "open", "stopped", "unreachable", "failing", "paused"]
"""`first_contact`: this URL, key and field names have had no 2xx yet. `open`: sending. `stopped`: key, role, credit,
proxy or address is refused. `unreachable`: no connection, several times in a row. `failing`: most of what it is asked fails, the breaker is open.
`paused`: the platform asked for it."""

Grade = Literal["good", "warn", "bad"]
"""`good`: nothing to do. `warn`: worth knowing. `bad`: events are late or lost, or will be; somebody has to look."""


class CauseStatus(TypedDict):
    """One thing that is wrong."""

    cause: str
    """A value of `VerdictCause` (`service/verdict.py`)."""
    grade: Grade
    sentence: str
    """What is wrong, and its cure."""
    since: str | None
    """RFC 3339, UTC."""
    events: int | None
    """Events that wait because of it, or were rejected."""
    next_try_at: str | None
    """When the service tries again. RFC 3339, UTC."""
    runbook: str | None
    """The heading in `deploy/RUNBOOK.md`."""


class VerdictStatus(TypedDict):
    """How the service stands, in one sentence."""

    grade: Grade
    """The worst of its causes."""
    sentence: str
    causes: Sequence[CauseStatus]
    """The worst first; each cause once."""


LagPart = Literal["backlog", "parked", "in_window", "queued", "in_flight", "blocked", "settling"]


class LagParts(TypedDict):
    """Records without an acknowledged result, by what each waits for: together they are `lag`."""

    backlog: int
    """Not read yet."""
    parked: int
    """Read past for want of room in the buffer; read again when there is some."""
    in_window: int
    """In windows that still collect events."""
    queued: int
    """Waiting for a slot, a retry, a campaign's pause (429), or an earlier event of their person or ID."""
    in_flight: int
    """In sends with a slot."""
    blocked: int
    """May not start, whoever's turn it is: held, the platform turns us away or asks everybody to wait, the campaign is
    refused, the journal is unsure. Of a stopped partition, also what is not read."""
    settling: int
    """Their outcome, or their result, is on its way."""


class PartitionStatus(TypedDict):
    """One partition that is assigned to this member. Offsets are None until they are known."""

    topic: str
    partition: int
    urgent: bool
    """Whether its topic is one of `KAFKA__URGENT_TOPICS`."""
    state: PartitionState
    committed: int | None
    """What the group last committed."""
    watermark: int | None
    """Below it every record has an outcome and an acknowledged result; for a stopped partition, as far as is known."""
    position: int | None
    """The next offset to be read: after the last record read, and after offsets that have no readable record."""
    log_end: int | None
    """One past the last readable record, as last seen."""
    lag: int | None
    """Readable records without an acknowledged result: those in hand, and offsets from the position to the log's end.

    For a stopped partition, all that its last owner had not finished."""
    lag_parts: LagParts | None
    """They add up to `lag`; None where that is None."""
    lag_seconds: float | None
    """The age of the oldest record without an acknowledged result, by its timestamp in Kafka. 0.0 where none is left,
    None where it is not known."""
    held: int
    """Events held: read, and without an acknowledged result."""
    paused: bool
    """Not read now: there is no room, or it is not at work."""
    why: str | None
    """Why it is not at work; what to do about it."""


class SendsStatus(TypedDict):
    """Sends of closed windows, waiting or in flight."""

    queued: int
    """Sends waiting for a slot, a limit or a retry."""
    in_flight: int
    """Sends with a slot: their intent is on its way into the journal, or their answer is awaited."""
    in_flight_by_campaign: Mapping[str, int]
    """The 20 campaigns with most sends in flight."""


class AccessStatus(TypedDict):
    """Whether the platform lets us in."""

    state: AccessState
    since: str
    """Since when the state is as it is. RFC 3339, UTC."""
    why: str | None
    """What to know about it, where the state is not `open`."""
    refused_campaigns: Sequence[str]
    """Campaigns that the key or its role may not send though others get through; the first 100."""
    refused_count: int
    """The number of all refused campaigns."""
    refused_seconds: Mapping[str, float]
    """For how long the 20 campaigns refused first are refused, without outages: past `MAX_AGE` their events fail."""
    next_probe_in_seconds: float | None


class BufferStatus(TypedDict):
    """Decoded events held at once, and the bound at which partitions are paused."""

    events: int
    bytes: int
    max_events: int
    max_bytes: int
    parked: int
    """Records read past for want of room, which are read again when there is some."""
    parked_ranges: int
    """In so many ranges they stand."""
    reads_past: bool
    """Whether the buffer has been so full for a while that reading goes on past whatever has no room."""
    bounded_partitions: int
    """Partitions of which nothing more is read, because as much waits or is parked there as the bounds allow."""


BreakerState = Literal["closed", "open", "half_open"]


class BreakerStatus(TypedDict):
    """The circuit breaker of the platform as a whole."""

    state: BreakerState
    until: str | None
    """When one request may try whether it is over; RFC 3339, UTC. None while it is closed."""


class LimitsStatus(TypedDict):
    """The limits in force."""

    concurrency: int
    """Sends that may have a slot at once: `max_concurrency`, or less where the platform takes less."""
    requests_per_second: float | None
    """Of this instance: its share, where the limit holds for the whole group."""
    contacts_per_second: float | None
    max_concurrency: int
    max_concurrency_per_campaign: int


class ModesStatus(TypedDict):
    """Settings under which not everybody is texted whom events name."""

    dry_run: bool
    """Whether no request is made: `DELIVERY__DRY_RUN`."""
    test_recipients: int
    """How many phones and codes `DELIVERY__TEST_RECIPIENTS` names, the only ones that are sent to; 0: there is no such list."""


class HoldStatus(TypedDict):
    """A hold, with the names that `campaigns list --json` has; `campaignId` is None if all campaigns are held."""

    campaignId: int | None
    reject: bool
    reason: str
    operator: str
    since: str


class CancellationStatus(TypedDict):
    """A cancellation of one event or of a campaign."""

    eventId: str | None
    campaignId: int | None
    reason: str
    operator: str
    before: str


class HoldsStatus(TypedDict):
    """The holds and cancellations in force, as `campaigns list --json` prints them."""

    holds: Sequence[HoldStatus]
    cancellations: Sequence[CancellationStatus]


class DeduplicationStatus(TypedDict):
    """How far back a repeated event is recognised."""

    entries: int
    effective_window_seconds: float


class AgesStatus(TypedDict):
    """How long ago something was last as it should be, in seconds; 0 where there is nothing to wait for."""

    commit: float
    """Since commits were last complete: acknowledged, or with nothing to commit."""
    checkpoint: float
    """Since checkpoints last said all that was to be said, in the partition where that is longest ago."""
    hold: float
    """For how long the eldest hold has been in force."""
    parked: float
    """Since the eldest parked record was published, by its timestamp in Kafka."""


class FailureStatus(TypedDict):
    """One attempt that ended otherwise than accepted."""

    at: str
    """RFC 3339, UTC."""
    send_id: str
    campaign: str
    contacts: int
    answer: str
    """What its answer means, as in `campaign_answers_total`."""
    status: int | None
    message: str | None
    """The platform's words, masked; or why there are none."""


class AcceptanceStatus(TypedDict):
    """Seconds from a record's arrival to the acceptance, as `campaign_acceptance_delay_seconds` counts them.

    Counts are since the start of the process, by bucket and not cumulative; the last one is beyond all `bounds`.
    """

    bounds: Sequence[float]
    normal: Sequence[int]
    immediate: Sequence[int]


class TotalsStatus(TypedDict):
    """What was counted since the start of the process."""

    records_read: int
    requests: int
    contacts_accepted: int
    results: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What metrics have counted since the start of the process."""

    records_read: int = 0
    requests: int = 0
    acceptance: AcceptanceStatus = field(
        default_factory=lambda: AcceptanceStatus(bounds=(), normal=(0,), immediate=(0,))
    )


class ServiceStatus(TypedDict):
    """Everything `GET /status` says. `results` counts as `campaign_results_total` does, by status."""

    version: str
    group: str
    member: str
    uptime_seconds: float
    state: ServiceState
    verdict: VerdictStatus
    lag: int | None
    """Of all partitions whose lag is known; None where none is."""
    lag_parts: LagParts | None
    """Of the same partitions; they add up to `lag`."""
    lag_seconds: float | None
    """The largest of all partitions; None where none is known."""
    urgent_late_seconds: float | None
    """By how much the oldest record of urgent topics is late; None where there are no urgent topics."""
    oldest: OldestAges
    waiting: Sequence[WaitingCampaign]
    """The 20 campaigns whose oldest event has waited longest, that one first; then, of those that have nothing in hand, the
    20 with most parked records."""
    windows: Sequence[OpenWindow]
    """The 20 oldest."""
    requests: Sequence[OpenRequest]
    """The 50 that have had their slot longest."""
    partitions: Sequence[PartitionStatus]
    windows_open: int
    sends: SendsStatus
    access: AccessStatus
    buffer: BufferStatus
    breaker: BreakerStatus
    limits: LimitsStatus
    modes: ModesStatus
    holds: HoldsStatus
    results: Mapping[str, int]
    deduplication: DeduplicationStatus
    ages: AgesStatus
    failures: Sequence[FailureStatus]
    """The last 20 attempts that ended otherwise than accepted, the newest first."""
    acceptance: AcceptanceStatus
    totals: TotalsStatus
    retention_seconds: Mapping[str, float]
    """For how long Kafka keeps the records of each events topic; without those that are kept for ever, or not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The answer to a probe. It fails where there are reasons, each a sentence for the person who is paged."""

    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the probe succeeds."""
        return not self.reasons

"""What the service reports about its work, one method per fact, as a protocol. Writes no log line and no metric.

`edge/telemetry/telemetry.py` turns each fact into its log line and its metrics; a simulation may record them instead.
Facts are reported per batch, never per record. What concerns a request names it, and brings the records along, for
whoever writes them down. Durations are seconds, sizes bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from consumer.core.event import Decoded, Event
from consumer.core.outcome import Reason, Status
from consumer.core.platform.answer import Exchange
from consumer.core.platform.control import Said
from consumer.core.sending.window import CloseWhy
from consumer.core.terms import Instant, JournalOffset, Offset, Partition, SendId
from consumer.service.verdict import ServiceVerdict


class Priority(StrEnum):
    """An event's priority, as the contract spells it."""

    NORMAL = "normal"
    IMMEDIATE = "immediate"


class AnswerClass(StrEnum):
    """How an attempt ended, by the table of answers in `core/platform/post.py`."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DENIED = "denied"
    """401, 402, 403, 407 or 3xx: key, role, credit, proxy or address is wrong."""
    NOT_DELIVERED = "not_delivered"
    UNKNOWN = "unknown"
    WITHHELD = "withheld"
    """The last check before the first byte forbade it; nothing went out."""


class RetryReason(StrEnum):
    """Why a send goes back to the queue."""

    THROTTLED = "throttled"
    """408, 421, 425 or 429."""
    UNAVAILABLE = "unavailable"
    """503."""
    UNREACHABLE = "unreachable"
    """No connection."""
    SERVER_ERROR = "server_error"
    ANSWER_LOST = "answer_lost"
    DENIED = "denied"
    NO_PROOF = "no_proof"
    """The proof of ownership was too old before the first byte."""
    DEADLINE = "deadline"
    """A member's deadline came before the first byte: the others go back."""
    STOPPED = "stopped"
    """An operator has held the campaign or cancelled a member before the first byte."""
    NOT_OURS = "not_ours"
    """A member's partition was lost or given back before the first byte: the others go back."""


class StopWhy(StrEnum):
    """Why dispatch stopped."""

    DENIED = "denied"
    """401, 402, 403, 407 or 3xx."""
    FIRST_CONTACT = "first_contact"
    """A refusal before this configuration has had its first 2xx."""
    UNREACHABLE = "unreachable"
    """No connection, several times in a row."""
    FAILING = "failing"
    """Most of what it is asked fails: the breaker is open."""


class Producer(StrEnum):
    """Which of our producers."""

    JOURNAL = "journal"
    RESULTS = "results"


class During(StrEnum):
    """During what an unexpected error was raised; the work goes on."""

    REQUEST = "request"
    """The HTTP client, with a request."""
    ANSWER = "answer"
    """Reading what an answer says: only its status counts."""
    TELLING = "telling"
    """Writing logs and metrics."""


class DrainPhase(StrEnum):
    """The phases of a shutdown, in their order."""

    CLOSING_WINDOWS = "closing_windows"
    SENDING = "sending"
    SETTLING = "settling"
    LEAVING = "leaving"


class RequestAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a send, with the events that it carries."""

    send_id: SendId
    campaign_id: int
    attempt: int
    """Its number within the send, from 1."""
    priority: Priority
    members: Sequence[Event]

    @property
    def contacts(self) -> int:
        """How many contacts the request carries."""
        return len(self.members)


class Facts(Protocol):
    """Everything that the service reports."""

    # Process

    def started(self, *, group: str, topics: Sequence[str], http_url: str) -> None:
        """The service is up; what it consumes, and where its operations page is."""

    def noted(self, note: str) -> None:
        """Something about the configuration that is worth knowing."""

    def drain_phase(self, phase: DrainPhase, *, held: int, in_flight: int) -> None:
        """A shutdown has reached `phase` with `held` events in hand and `in_flight` requests out."""

    def drained(self, *, seconds: float, left_unsettled: int) -> None:
        """The shutdown is over; what is left unsettled stays with the next owner."""

    def loop_delayed(self, *, seconds: float) -> None:
        """A timer of the event loop fired so much later than asked; to be reported at a steady interval."""

    def unexpected_error(self, *, during: During, error: Exception) -> None:
        """An unexpected exception was caught, because an outcome must not be lost with it. It is a bug of this service."""

    def verdict_changed(self, verdict: ServiceVerdict) -> None:
        """What troubles the service has changed, for some seconds at least."""

    def summary(self) -> None:
        """Write one line about what happened since the last summary; none where nothing did."""

    # Reading

    def records_read(self, partition: Partition, *, count: int, value_bytes: int) -> None:
        """A fetched batch: records and the bytes of their values, as they were published."""

    def records_read_again(self, partition: Partition, *, count: int) -> None:
        """Records were read again, because parked ones are among them; whatever is taken of them is told as read, too."""

    def decoded_invalid(self, partition: Partition, *, reason: Reason, offsets: Sequence[Offset]) -> None:
        """The records at these offsets are no valid event, and go to the dead-letter topic."""

    def unknown_field(
        self, partition: Partition, *, name: str, meant: str, count: int, among: Sequence[Offset]
    ) -> None:
        """`count` records have an unknown field `name`, which is nearly the name of a known one, `meant`.

        They are among those of one fetched batch, from the first to the last offset of `among`.
        """

    def records_lost(self, partition: Partition, *, start: Offset, stop: Offset) -> None:
        """Retention removed `start` up to but without `stop` before they were read."""

    # Sending

    def windows_closed(self, *, why: CloseWhy, ages_seconds: Sequence[float]) -> None:
        """Windows closed, so long after their first events arrived."""

    def send_posted(self, request: RequestAttempt, *, waited_seconds: float | None) -> None:
        """A request's first byte went out, `waited_seconds` after its window closed; None where it is not the send's first."""

    def send_answered(
        self, request: RequestAttempt, *, answer: AnswerClass, status: int | None, seconds: float | None
    ) -> None:
        """An attempt ended, `seconds` after its first byte.

        `seconds` is None where nothing went out, `status` where no complete head came.
        """

    def request_ended(self, request: RequestAttempt, exchange: Exchange, *, answer: AnswerClass) -> None:
        """The same of an attempt that was really made, with its instants: at least a connection was asked for."""

    def send_split(self, request: RequestAttempt, *, status: int) -> None:
        """A refused request is halved."""

    def send_retried(self, request: RequestAttempt, *, reason: RetryReason, delay_seconds: float) -> None:
        """A send goes back to the queue, due after `delay_seconds`."""

    def attempts_unknown(self, request: RequestAttempt, *, reason: Reason) -> None:
        """An attempt may have been received although its answer was lost."""

    def dispatch_stopped(self, *, why: StopWhy) -> None:
        """The platform refuses us or cannot be reached: from now on one real request at a time, as a probe."""

    def probe_failed(self, request: RequestAttempt, *, why: StopWhy, status: int | None) -> None:
        """It still refuses us or cannot be reached. Reported for the request that stopped dispatch and for each failed probe."""

    def campaign_refused(self, request: RequestAttempt, *, status: int, refused_campaigns: int) -> None:
        """The platform refuses the request's campaign, though others get through; `refused_campaigns` are refused by now."""

    def dispatch_narrowed(self, *, refused_campaigns: Iterable[int]) -> None:
        """The platform accepts requests again, except for these campaigns."""

    def dispatch_resumed(self, *, stopped_seconds: float) -> None:
        """The platform has answered 2xx: dispatch is at full speed from now on. Also reported at the first contact."""

    # Outcomes

    def results_settled(
        self,
        *,
        status: Status,
        reason: Reason | None,
        campaign_id: int | None,
        send_id: SendId | None,
        records: Sequence[Decoded],
    ) -> None:
        """Records of one campaign got their outcome.

        `campaign_id` is None where no record could be read so far, `send_id` where no request was made.
        """

    def objectives_judged(self, *, priority: Priority, events: int, good: int) -> None:
        """So many events count for the service's objectives; `good` of them were accepted in time."""

    def possible_duplicates(
        self, *, campaign_id: int | None, send_id: SendId | None, records: Sequence[Decoded]
    ) -> None:
        """These of the accepted contacts were marked `possibleDuplicate`."""

    def accepted(
        self,
        request: RequestAttempt,
        *,
        accepted_at: Instant,
        delays_seconds: Sequence[float],
        event_delays_seconds: Sequence[float],
    ) -> None:
        """The delays of one accepted request's members; there is one at least.

        `delays_seconds` run from the record's arrival here to the acceptance, `event_delays_seconds` from
        the event's `occurredAt`.
        """

    def results_published(self, *, topic: str, count: int, seconds: float) -> None:
        """A batch of results or dead letters was acknowledged after `seconds`."""

    def producer_replaced(self, producer: Producer, *, why: str) -> None:
        """A failed producer was stopped and replaced; `why` names the error, no values."""

    def kafka_trouble(self, *, why: str) -> None:
        """A passing error of a broker or of the client; tried again."""

    # Operators

    def operator_said(self, said: Said) -> None:
        """An operator has held, released or cancelled something, or a record of the control topic is unreadable."""

    def control_refused(self, *, why: str) -> None:
        """The control topic cannot be read until a person acts; no request starts meanwhile."""

    # Commits

    def committed(self, offsets: Mapping[Partition, Offset], *, seconds: float) -> None:
        """The group's offsets were committed; the brokers' acknowledgement took `seconds`."""

    def commit_failed(self, partitions: Iterable[Partition]) -> None:
        """A commit failed, or its outcome is unknown; it is tried again at the next interval."""

    def commit_rewound(self, partition: Partition, *, committed: Offset, watermark: Offset) -> None:
        """A tool moved the group back below what the journal has settled: ignored, nobody is texted again."""

    def commit_skipped(self, partition: Partition, *, watermark: Offset, committed: Offset) -> None:
        """A tool moved the group forward: the records between `watermark` and `committed` are never sent."""

    # Ownership and the journal

    def partitions_assigned(self, partitions: Iterable[Partition]) -> None:
        """The group assigned these to us."""

    def rebalanced(self, *, seconds: float) -> None:
        """All assigned partitions are at work, or wait for a person, `seconds` after the rebalance began for us."""

    def partitions_revoked(self, partitions: Iterable[Partition], *, seconds: float) -> None:
        """These were handed back; draining them took `seconds`."""

    def partition_claimed(self, partition: Partition, *, claim_offset: JournalOffset) -> None:
        """Our claim was written to its journal."""

    def partition_owned(
        self, partition: Partition, *, seconds: float, watermark: Offset, unknown_attempts: int
    ) -> None:
        """Its journal is read and its records are processed, from `seconds` after our claim was written."""

    def partition_lost(self, partition: Partition, *, claimed_by: str) -> None:
        """Another member has claimed it: its work is dropped here."""

    def partition_stopped(self, partition: Partition, *, why: str, cure: str) -> None:
        """It must not start until a person decides; `why` says about what, `cure` what to do."""

    def partition_accepted(self, partition: Partition) -> None:
        """A person has decided: the stopped partition is claimed again and starts."""

    def foreign_claims(self, partition: Partition, *, group: str, member: str, count: int) -> None:
        """Another group has claimed our journal `count` times since our last checkpoint, last as `member`.

        The journal remains ours, and we have taken the partition back.
        """

    def writes_refused(self, partition: Partition, *, why: str) -> None:
        """The brokers do not take its entries or results, or do not hand out its journal, or what is parked of it.

        It waits for a person; see `why`.
        """

    def writes_taken(self, partition: Partition) -> None:
        """The brokers accept its writes, or hand out what they refused, again."""

    def events_topic_unreadable(self, topic: str, partitions: Iterable[Partition], *, why: str) -> None:
        """The topic is gone, or the brokers do not let us read it: a person has to act, see `why`. `partitions` are ours."""

    def events_topic_readable(self, topic: str) -> None:
        """It can be read again."""

    def message_cut(self, topic: str, partition: Partition, *, offset: Offset) -> None:
        """The result or dead letter of this record was larger than its topic allows: its largest part is left out."""

    def journal_appended(self, partition: Partition, *, entries: int, seconds: float) -> None:
        """An append was acknowledged after `seconds`."""

    def checkpoints_proven(self, *, seconds: Sequence[float]) -> None:
        """Checkpoints stand in the journal, so long after they were due."""

    def journal_void(self, partition: Partition, *, entries: int) -> None:
        """Entries landed at another offset than their writer expected, so they do not count; ours are appended again."""

    def journal_strays(self, partition: Partition, *, offsets: Sequence[JournalOffset]) -> None:
        """Its journal has records at these offsets that are no entries: they are passed over."""

    def journal_unsure(self, partition: Partition, *, why: str) -> None:
        """An append was not acknowledged: it may or may not have landed, and the partition is claimed again."""

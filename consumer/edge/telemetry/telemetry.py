"""Writes each fact's log line and metrics, together. Owns log levels and wording; decides nothing.

Normal operation is quiet: what happens per batch or per request is a metric and at most a DEBUG line. A problem is one
line with its cure; while it lasts, it is written twice a minute, with the number of lines `left_out`. `service/facts.py`
says what each fact means.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from consumer.core.outcome import Reason
from consumer.core.platform.control import CampaignHold, Cancellation, Forgotten, Release, Said, UnreadableOrder
from consumer.core.terms import JournalOffset, Offset, Partition, Ticks
from consumer.edge.telemetry.campaign_labels import CampaignLabels
from consumer.edge.telemetry.exposition import render
from consumer.edge.telemetry.log import RepeatedLines, origin_of, short
from consumer.edge.telemetry.metrics import Metrics
from consumer.edge.telemetry.operators import order_fields
from consumer.edge.telemetry.places import offset_ranges
from consumer.edge.telemetry.problem_lines import ProblemLines
from consumer.edge.telemetry.send_telemetry import SendLines, SendTelemetry, Spans
from consumer.service.facts import DrainPhase, During, Facts, Producer
from consumer.service.ports import Clock
from consumer.service.status_shape import Grade, ServiceStatus
from consumer.service.verdict import ServiceVerdict

TYPO_SECONDS: Final = 3600.0  # a misspelled field name lasts until its producer is deployed: a line an hour is enough
LOOP_DELAY_SECONDS: Final = 1.0  # heartbeats run in this loop, one every 2 s by default
NAMED_TROUBLES: Final = 5
VERDICT_LEVELS: Final[Mapping[Grade, int]] = {"good": logging.INFO, "warn": logging.WARNING, "bad": logging.ERROR}


class Telemetry(SendTelemetry, Facts):
    """Reports facts as log lines and as Prometheus metrics. All calls are made on one event loop."""

    def __init__(
        self,
        *,
        clock: Clock,
        version: str,
        campaigns: CampaignLabels | None = None,
        sends: SendLines = SendLines.AT_DEBUG,
        spans: Spans | None = None,
    ) -> None:
        """`campaigns` says which of them get a label value of their own; None: none does. `spans` None: no traces."""
        metrics, lines = Metrics(), ProblemLines(clock)
        labels = campaigns or CampaignLabels(places=0)
        SendTelemetry.__init__(self, metrics, lines, campaigns=labels, sends=sends, spans=spans)
        self._clock = clock
        self._version = version
        self._typos = RepeatedLines(every_seconds=TYPO_SECONDS)
        self._status: Callable[[], ServiceStatus] | None = None
        self.kafka_troubled_at: Ticks | None = None
        """When brokers last had trouble: it may explain a standstill."""
        self.retention_seconds: Mapping[str, float] = {}
        """For how long Kafka keeps the records of events topics, as far as that has an end and is known."""
        self._summary_at = clock.now().steady
        self._summary_tally = self._tally()

    def bind(self, status: Callable[[], ServiceStatus]) -> None:
        """Take gauges and the summary's state from `status`, which must not block."""
        self._status = status
        self.metrics.gauges.bind(status)

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """Return content type and body for Prometheus, in the format that an `Accept` header asks for."""
        return render(self.metrics.registry, accept)

    # Process

    def started(self, *, group: str, topics: Sequence[str], http_url: str) -> None:
        self._lines.log.info("started", version=self._version, group=group, topics=list(topics), http_url=http_url)

    def noted(self, note: str) -> None:
        self._lines.log.info("note", about=note)

    def drain_phase(self, phase: DrainPhase, *, held: int, in_flight: int) -> None:
        self._lines.log.info("draining", phase=phase.value, held=held, in_flight=in_flight)

    def drained(self, *, seconds: float, left_unsettled: int) -> None:
        if left_unsettled:
            cure = "nothing is lost: the next owner goes on with them; more CAMPAIGN_SHUTDOWN__GRACE lets them finish"
            self._lines.log.warning("stopped, events left", seconds=short(seconds), left=left_unsettled, cure=cure)
        else:
            self._lines.log.info("stopped, everything settled", seconds=short(seconds))

    def loop_delayed(self, *, seconds: float) -> None:
        self.metrics.loop_delay.observe((), seconds)
        if seconds >= LOOP_DELAY_SECONDS:
            cure = "give the process more CPU; past CAMPAIGN_KAFKA__SESSION_TIMEOUT the group throws this member out"
            self._lines.problem("event loop was late", "", {"seconds": short(seconds)}, cure=cure)

    def unexpected_error(self, *, during: During, error: Exception) -> None:
        self.metrics.unexpected_errors.add((during,), 1)
        kinds, frames = origin_of(error)
        cure = "nothing is lost by it; it is a mistake in this service: please report it with these lines"
        fields = {"during": during.value, "error": kinds, "at": frames}
        self._lines.problem("unexpected error", (during, *frames), fields, cure=cure, level=logging.ERROR)

    def verdict_changed(self, verdict: ServiceVerdict) -> None:
        causes = list(dict.fromkeys(trouble.cause.value for trouble in verdict.troubles))
        why = [trouble.sentence for trouble in verdict.troubles[:NAMED_TROUBLES]]
        fields = {"grade": verdict.grade, "sentence": verdict.sentence, "causes": causes, "why": why}
        self._lines.log.log(VERDICT_LEVELS[verdict.grade], "the verdict changed", **fields)

    def summary(self) -> None:
        self._campaigns.look()
        at = self._clock.now().steady
        tally, before = self._tally(), self._summary_tally
        changes = {name: int(value - before.get(name, 0)) for name, value in tally.items() if value != before.get(name)}
        seconds = at - self._summary_at
        self._summary_at, self._summary_tally = at, tally
        if not changes:
            return
        state: dict[str, object] = {}
        if self._status is not None:
            now = self._status()
            state = {
                "lag": sum(partition["lag"] or 0 for partition in now["partitions"]),
                "held": now["buffer"]["events"],
                "in_flight": now["sends"]["in_flight"],
            }
        self._lines.log.info("progress", seconds=short(seconds), **changes, **state)

    def _tally(self) -> dict[str, float]:
        metrics = self.metrics
        return {
            "read": sum(metrics.records_read.totals("topic").values()),
            "requests": sum(metrics.requests.totals("priority").values()),
            **metrics.results.totals("status"),
        }

    # Reading

    def records_read(self, partition: Partition, *, count: int, value_bytes: int) -> None:
        self.metrics.records_read.add(partition, count)
        self.metrics.bytes_read.add(partition, value_bytes)

    def records_read_again(self, partition: Partition, *, count: int) -> None:
        self.metrics.records_read_again.add(partition, count)

    def decoded_invalid(self, partition: Partition, *, reason: Reason, offsets: Sequence[Offset]) -> None:
        count = len(offsets)
        self.metrics.invalid.add((*partition, reason), count)
        cure = "the dead-letter topic holds them, its header dlq-detail says what is wrong; tell their producer"
        fields = {"partition": str(partition), "reason": reason.value, "count": count}
        fields["offsets"] = offset_ranges(offsets)
        self._lines.problem("records are no valid events", (partition, reason), fields, cure=cure)

    def unknown_field(
        self, partition: Partition, *, name: str, meant: str, count: int, among: Sequence[Offset]
    ) -> None:
        self.metrics.unknown_fields.add((meant,), count)
        cure = f"did you mean {meant}? Tell the producer: a field under another name is ignored"
        fields = {"partition": str(partition), "field": name, "count": count, "among": f"{among[0]}-{among[-1]}"}
        self._lines.problem("unknown field in events", (name, meant), fields, cure=cure, among=self._typos)

    def records_lost(self, partition: Partition, *, start: Offset, stop: Offset) -> None:
        self.metrics.records_lost.add(partition, stop - start)
        cure = "retention is shorter than the lag: raise the topic's retention.ms, or run more instances"
        fields = {"partition": str(partition), "first_offset": start, "next_offset": stop}
        self._lines.log.error("records were removed before they were read", cure=cure, **fields)

    # Publishing

    def results_published(self, *, topic: str, count: int, seconds: float) -> None:
        self.metrics.published.add((topic,), count)
        self.metrics.publish_duration.observe((), seconds)

    def producer_replaced(self, producer: Producer, *, why: str) -> None:
        self.kafka_troubled_at = self._clock.now().steady
        self.metrics.producers_replaced.add((producer,), 1)
        cure = "happens around broker failures; lasting: check the brokers and the topic's min.insync.replicas"
        self._lines.problem("producer failed, replaced", producer, {"producer": producer.value, "why": why}, cure=cure)

    def kafka_trouble(self, *, why: str) -> None:
        self.kafka_troubled_at = self._clock.now().steady
        cure = "tried again by itself; lasting: check the brokers and CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS"
        self._lines.problem("trouble with Kafka", "", {"why": why}, cure=cure)

    def retention_known(self, seconds: Mapping[str, float]) -> None:
        self.retention_seconds = seconds

    # Operators

    def operator_said(self, said: Said) -> None:
        log, fields = self._lines.log.warning, order_fields(said)
        match said:
            case CampaignHold():
                log("campaigns held" if said.campaign_id is None else "campaign held", **fields)
            case Release():
                log("campaigns released" if said.campaign_id is None else "campaign released", **fields)
            case Cancellation():
                log("cancelled", **fields)
            case Forgotten():
                self._lines.log.info("a record of the control topic was removed")
            case UnreadableOrder():
                cure = "what it may hold is held; write it again with campaign-consumer campaigns, or release --all"
                log("a record of the control topic cannot be read", **fields, cure=cure)

    def control_refused(self, *, why: str) -> None:
        cure = "no request starts meanwhile, and nothing is lost; create the topic or grant READ, tried every second"
        self._lines.problem("the control topic cannot be read", "", {"why": why}, cure=cure, level=logging.ERROR)

    # Commits

    def committed(self, offsets: Mapping[Partition, Offset], *, seconds: float) -> None:
        self.metrics.commits.add(("committed",), 1)
        self.metrics.commit_duration.observe((), seconds)
        if self._lines.are_written(logging.DEBUG):
            self._lines.log.debug(
                "committed", partitions={str(partition): offset for partition, offset in offsets.items()}
            )

    def commit_failed(self, partitions: Iterable[Partition]) -> None:
        self.metrics.commits.add(("failed",), 1)
        cure = "tried again by itself, nothing is lost; lasting: check the brokers"
        self._lines.problem("commit failed", "", {"partitions": _names(partitions)}, cure=cure)

    def commit_rewound(self, partition: Partition, *, committed: Offset, watermark: Offset) -> None:
        self.metrics.rewinds.add(partition, 1)
        cure = "nobody is texted again for that; to resend on purpose: campaign-consumer replay plan"
        fields = {"partition": str(partition), "committed": committed, "watermark": watermark}
        self._lines.log.warning("the group was rewound, without effect", cure=cure, **fields)

    def commit_skipped(self, partition: Partition, *, watermark: Offset, committed: Offset) -> None:
        self.metrics.skipped.add(partition, committed - watermark)
        cure = "these records are not sent; to send them after all: campaign-consumer replay plan --skipped"
        fields = {"partition": str(partition), "watermark": watermark, "committed": committed}
        self._lines.log.warning("the group was moved forward, records are passed over", cure=cure, **fields)

    # Ownership and the journal

    def partitions_assigned(self, partitions: Iterable[Partition]) -> None:
        self.metrics.rebalances.add((), 1)
        self._lines.log.info("partitions assigned", partitions=_names(partitions))

    def rebalanced(self, *, seconds: float) -> None:
        self.metrics.rebalance_duration.observe((), seconds)

    def partitions_revoked(self, partitions: Iterable[Partition], *, seconds: float) -> None:
        self.metrics.revoke_duration.observe((), seconds)
        self._lines.log.info("partitions handed back", partitions=_names(partitions), seconds=short(seconds))

    def partition_claimed(self, partition: Partition, *, claim_offset: JournalOffset) -> None:
        self.metrics.claims.add(partition, 1)
        self._lines.log.debug("partition claimed", partition=str(partition), claim_offset=claim_offset)

    def partition_owned(
        self, partition: Partition, *, seconds: float, watermark: Offset, unknown_attempts: int
    ) -> None:
        self.metrics.takeover_duration.observe((), seconds)
        self.metrics.unknown.add((Reason.OWNER_LOST,), unknown_attempts)
        fields = {"seconds": short(seconds), "watermark": watermark, "unknown_attempts": unknown_attempts}
        self._lines.log.info("partition owned", partition=str(partition), **fields)

    def partition_lost(self, partition: Partition, *, claimed_by: str) -> None:
        self.metrics.lost.add(partition, 1)
        cure = "normal after a freeze or a slow rebalance; lasting: look for a second group on the same journal"
        fields = {"partition": str(partition), "claimed_by": claimed_by}
        self._lines.problem("partition lost", partition, fields, cure=cure)

    def partition_stopped(self, partition: Partition, *, why: str, cure: str) -> None:
        self.metrics.stops.add(partition, 1)
        fields = {"partition": str(partition), "why": why}
        self._lines.problem("partition stopped", partition, fields, cure=cure, level=logging.ERROR)

    def partition_accepted(self, partition: Partition) -> None:
        self._lines.log.info("stopped partition starts, as an operator has decided", partition=str(partition))

    def foreign_claims(self, partition: Partition, *, group: str, member: str, count: int) -> None:
        self.metrics.foreign_claims.add(partition, count)
        cure = "the partition is taken back by itself; stop that group, or give it a journal of its own"
        fields = {"partition": str(partition), "group": group, "member": member, "count": count}
        event = "another consumer group has claimed our journal"
        self._lines.problem(event, (partition, group), fields, cure=cure, level=logging.ERROR)

    def writes_refused(self, partition: Partition, *, why: str) -> None:
        self.metrics.stops.add(partition, 1)
        cure = "tried again by itself every 5 s, nothing is lost; change the topic or the permissions"
        fields = {"partition": str(partition), "why": why}
        event = "partition stopped, the brokers refuse what it needs"
        self._lines.problem(event, partition, fields, cure=cure, level=logging.ERROR)

    def writes_taken(self, partition: Partition) -> None:
        self._lines.log.info("partition goes on, the brokers refuse nothing any more", partition=str(partition))

    def events_topic_unreadable(self, topic: str, partitions: Iterable[Partition], *, why: str) -> None:
        for partition in partitions:
            self.metrics.stops.add(partition, 1)
        cure = "looked at again by itself, nothing is lost; the other topics are read meanwhile"
        event = "an events topic cannot be read"
        self._lines.problem(event, topic, {"topic": topic, "why": why}, cure=cure, level=logging.ERROR)

    def events_topic_readable(self, topic: str) -> None:
        self._lines.log.info("an events topic can be read again", topic=topic)

    def message_cut(self, topic: str, partition: Partition, *, offset: Offset) -> None:
        self.metrics.cuts.add((topic,), 1)
        cure = "raise its max.message.bytes to have them whole"
        fields = {"topic": topic, "partition": str(partition), "offset": offset}
        self._lines.problem("a message was cut to what its topic takes", topic, fields, cure=cure)

    def journal_appended(self, partition: Partition, *, entries: int, seconds: float) -> None:
        self.metrics.journal_entries.add(partition, entries)
        self.metrics.journal_duration.observe((), seconds)

    def checkpoints_proven(self, *, seconds: Sequence[float]) -> None:
        self.metrics.checkpoint_duration.observe_all((), seconds)

    def journal_void(self, partition: Partition, *, entries: int) -> None:
        self.metrics.journal_void.add(partition, entries)
        cure = "a former owner wrote late; they are appended again"
        self._lines.problem(
            "journal entries void", partition, {"partition": str(partition), "entries": entries}, cure=cure
        )

    def journal_strays(self, partition: Partition, *, offsets: Sequence[JournalOffset]) -> None:
        self.metrics.journal_strays.add(partition, len(offsets))
        cure = "they say nothing and do no harm; find out who writes to the journal topic, and stop it"
        fields = {"partition": str(partition), "journal_offset": offsets[0], "count": len(offsets)}
        self._lines.problem("records in the journal are no entries", partition, fields, cure=cure)

    def journal_unsure(self, partition: Partition, *, why: str) -> None:
        self.metrics.journal_unsure.add(partition, 1)
        cure = "claimed again by itself; lasting: check the brokers and min.insync.replicas of the journal topic"
        self._lines.problem(
            "journal append not acknowledged", partition, {"partition": str(partition), "why": why}, cure=cure
        )


def _names(partitions: Iterable[Partition]) -> list[str]:
    return [str(partition) for partition in sorted(partitions)]

"""The answers of `/status`, `/healthz` and `/readyz`. Reads the service's state; changes none of it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from consumer.core.journal.lane import Lane
from consumer.core.journal.ledger import OwnershipState
from consumer.core.outcome import Status
from consumer.core.pipeline import Pipeline
from consumer.core.platform.access import AccessState
from consumer.core.platform.breaker import Breaker
from consumer.core.platform.limits import DeliveryLimits
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Ticks
from consumer.service.finding import failures_status
from consumer.service.holding import holds_status
from consumer.service.lag import LagReading, PartitionLag, total_lag
from consumer.service.lateness import late_seconds, unread_records, urgent_late_seconds
from consumer.service.progress import Progress, Surroundings
from consumer.service.sending import next_try_at, waiting_events
from consumer.service.service import Service
from consumer.service.status_shape import (
    AccessStatus,
    AgesStatus,
    BreakerStatus,
    BufferStatus,
    Counted,
    Health,
    LimitsStatus,
    ModesStatus,
    PartitionState,
    PartitionStatus,
    SendsStatus,
    ServiceStatus,
    TotalsStatus,
)
from consumer.service.troubles import stopped_because, troubles_of
from consumer.service.verdict import ServiceVerdict, Standing, verdict_of
from consumer.service.waiting import WaitingReading, open_requests
from schemas.instants import text_of

TOP_CAMPAIGNS = 20
NAMED_CAMPAIGNS = 100

WHY: Mapping[AccessState, str] = {
    AccessState.FIRST_CONTACT: "this URL, key and field names have had no 2xx yet",
    AccessState.STOPPED: "the platform refuses our key, role, credit, proxy or address",
    AccessState.UNREACHABLE: "the platform cannot be reached",
    AccessState.FAILING: "most of what the platform is asked fails: the breaker is open",
    AccessState.PAUSED: "the platform asked for a pause (503, Retry-After)",
}

STATE_OF: Mapping[OwnershipState, PartitionState] = {
    OwnershipState.LOOKING: "claiming",
    OwnershipState.UNSURE: "unsure",
    OwnershipState.CLAIMING: "claiming",
    OwnershipState.TAKING_OVER: "reading",
    OwnershipState.CHECKING: "unsure",
    OwnershipState.OWNED: "owned",
    OwnershipState.LOST: "lost",
    OwnershipState.RECREATED: "stopped",
}


class StatusBoard:
    """Computes what the HTTP server answers."""

    def __init__(
        self,
        service: Service,
        *,
        request_seconds: float,
        kafka_troubled_at: Callable[[], Ticks | None],
        counted: Callable[[], Counted] = Counted,
        retention: Callable[[], Mapping[str, float]] = dict,
    ) -> None:
        """`request_seconds` is the longest that an attempt takes; `kafka_troubled_at` returns when brokers last had trouble.

        `counted` returns what metrics have counted, where there are any; `retention`, for how many seconds Kafka keeps the
        records of events topics.
        """
        self._service = service
        self._progress = Progress(service.pipeline, request_seconds=request_seconds)
        self._kafka_troubled_at = kafka_troubled_at
        self._counted = counted
        self._retention = retention
        self._started_at = service.clock.now().wall

    def status(self) -> ServiceStatus:
        """Return everything `GET /status` says."""
        service, pipeline, policies = self._service, self._service.pipeline, self._service.policies
        now, counted = service.clock.now(), self._counted()
        waiting, lag = WaitingReading(pipeline, now), LagReading(pipeline, service.partitions, now)
        partitions = [self._partition(lane, lag.of(lane)) for lane in pipeline.lanes.values()]
        total, parts, lag_seconds = total_lag(partitions)
        return ServiceStatus(
            version=service.identity.version,
            group=service.identity.group,
            member=service.member,
            uptime_seconds=round(now.steady - service.started_at, 1),
            state=service.state,
            verdict=self.verdict().status(),
            lag=total,
            lag_parts=parts,
            lag_seconds=lag_seconds,
            urgent_late_seconds=self._urgent_late_seconds(now),
            oldest=waiting.oldest(),
            waiting=waiting.campaigns(),
            windows=waiting.windows(),
            requests=open_requests(pipeline, now),
            partitions=partitions,
            windows_open=len(pipeline.windows),
            sends=_sends(pipeline),
            access=self._access_status(),
            buffer=_buffer(pipeline, policies),
            breaker=_breaker(pipeline.access.breaker, now),
            limits=_limits(pipeline.access.limits, policies),
            modes=ModesStatus(dry_run=policies.dry_run, test_recipients=len(policies.test_recipients)),
            holds=holds_status(pipeline.access.holds),
            results={status.value: count for status, count in service.results_by_status.items()},
            deduplication={
                "entries": pipeline.deduplication.entries,
                "effective_window_seconds": round(pipeline.deduplication.window_seconds(now.wall), 1),
            },
            ages=self._ages(now),
            failures=failures_status(service.engine.recent_sends),
            acceptance=counted.acceptance,
            totals=_totals(counted, service.results_by_status),
            retention_seconds=self._retention(),
        )

    def _ages(self, now: Now) -> AgesStatus:
        service, pipeline = self._service, self._service.pipeline
        covered_at = min((lane.covered_at for lane in pipeline.lanes.values()), default=now.steady)
        held_since = min((hold.since for hold in pipeline.access.holds.holds()), default=now.wall)
        parked_ms = [lane.parked.first_ms for lane in pipeline.lanes.values() if lane.parked]
        parked_since = min((ms / 1000 for ms in parked_ms if ms is not None and ms >= 0), default=now.wall)
        return AgesStatus(
            commit=round(now.steady - service.partitions.all_committed_at, 3) if pipeline.lanes else 0.0,
            checkpoint=round(max(0.0, now.steady - covered_at), 3),
            hold=round(max(0.0, now.wall - held_since), 3),
            parked=round(max(0.0, now.wall - parked_since), 3),
        )

    def _partition(self, lane: Lane, lag: PartitionLag) -> PartitionStatus:
        partitions = self._service.partitions
        stopped = partitions.stopped.get(lane.partition)
        return PartitionStatus(
            topic=lane.partition.topic,
            partition=lane.partition.number,
            urgent=lane.partition.topic in self._service.policies.urgent_topics,
            state="stopped" if stopped is not None or lane.refused is not None else STATE_OF[lane.ledger.standing],
            committed=partitions.committed.get(lane.partition),
            watermark=lag.watermark,
            position=lag.position,
            log_end=lag.log_end,
            lag=lag.lag,
            lag_parts=lag.parts,
            lag_seconds=lag.seconds,
            held=lane.held_events,
            paused=lane.partition in partitions.paused,
            why=stopped_because(lane.partition, stopped)
            if stopped is not None
            else lane.refused
            or lane.trouble
            or partitions.unreadable.get(lane.partition.topic)
            or self._why_full(lane),
        )

    def _why_full(self, lane: Lane) -> str | None:
        """Return why a partition at work is not read: too much is parked, or held events fill their half of the buffer."""
        pipeline = self._service.pipeline
        bound = pipeline.buffer.bound_of(lane) if lane.started else None
        if bound is not None:
            return (
                f"{bound} is reached: nothing more is read, immediate events neither, until something of what waits or is "
                "parked here is done; waiting says whose it is, and why"
            )
        events, _ = pipeline.stops.held_back(lane)
        if self._service.policies.read_ahead or not (events and pipeline.stops.is_full):
            return None
        return (
            f"{events} events of held campaigns wait here, and all such events fill half of the buffer: the partition is "
            "read again when they are released, cancelled or past their deadline"
        )

    def _access_status(self) -> AccessStatus:
        service = self._service
        access, now = service.pipeline.access, service.clock.now()
        state, since = access.state(now), access.since_at(now)
        probe_at = next_try_at(service.pipeline, now) if access.one_at_a_time else access.next_probe_at(now)
        refused = list(access.refused)
        longest = {campaign: access.refused_seconds(campaign, now) or 0.0 for campaign in refused[:TOP_CAMPAIGNS]}
        return AccessStatus(
            state=state.value,
            since=datetime.fromtimestamp(since or self._started_at, UTC).isoformat(timespec="seconds"),
            why=WHY.get(state),
            refused_campaigns=[str(campaign) for campaign in refused[:NAMED_CAMPAIGNS]],
            refused_count=len(refused),
            refused_seconds={str(campaign): round(seconds, 1) for campaign, seconds in longest.items()},
            next_probe_in_seconds=None if probe_at is None else round(probe_at - now.steady, 3),
        )

    def verdict(self) -> ServiceVerdict:
        """Return how the service stands."""
        service, now = self._service, self._service.clock.now()
        around = self._surroundings(now)
        troubles = troubles_of(service, list(self._progress.standstills(now, around)), around, now)
        standing = Standing(
            waiting=waiting_events(service.pipeline) + unread_records(service.pipeline, service.partitions.log_ends),
            late_seconds=late_seconds(
                service.pipeline, service.policies, now, unread=service.partitions.first_unread_ms
            ),
            urgent_late_seconds=self._urgent_late_seconds(now),
        )
        return verdict_of(standing, troubles, now)

    def _urgent_late_seconds(self, now: Now) -> float | None:
        service = self._service
        return urgent_late_seconds(service.pipeline, service.policies, now, unread=service.partitions.first_unread_ms)

    def health(self) -> Health:
        """Return whether the process makes progress; where it does not, a restart is the cure."""
        return Health(reasons=self.verdict().reasons_stuck())

    def ready(self) -> Health:
        """Return whether the service does its work: joined, brokers reachable, the platform lets us in, partitions move."""
        return Health(reasons=self.verdict().reasons_unready())

    def _surroundings(self, now: Now) -> Surroundings:
        partitions = self._service.partitions
        return Surroundings(
            stopped=frozenset(partitions.stopped),
            troubled_at=now.steady if partitions.broker_trouble is not None else self._kafka_troubled_at(),
            assigned=partitions.assigned,
            log_ends=partitions.log_ends,
            paused=partitions.paused,
            unreadable=partitions.unreadable,
        )


def _sends(pipeline: Pipeline) -> SendsStatus:
    by_campaign = sorted(pipeline.queue.in_flight_by_campaign().items(), key=lambda item: -item[1])
    return SendsStatus(
        queued=pipeline.queue.queued,
        in_flight=pipeline.queue.in_flight,
        in_flight_by_campaign={str(campaign): count for campaign, count in by_campaign[:TOP_CAMPAIGNS]},
    )


def _totals(counted: Counted, results: Mapping[Status, int]) -> TotalsStatus:
    return TotalsStatus(
        records_read=counted.records_read,
        requests=counted.requests,
        contacts_accepted=results.get(Status.ACCEPTED, 0),
        results=sum(results.values()),
    )


def _breaker(breaker: Breaker, now: Now) -> BreakerStatus:
    until = None if breaker.is_closed else text_of(Instant(now.wall + max(0.0, breaker.again_at - now.steady)))
    return BreakerStatus(state=breaker.state(now).value, until=until)


def _buffer(pipeline: Pipeline, policies: Policies) -> BufferStatus:
    lanes = list(pipeline.lanes.values())
    parked = [lane.parked for lane in lanes]
    return BufferStatus(
        events=pipeline.buffer.held_events,
        bytes=pipeline.buffer.held_bytes,
        max_events=policies.buffer_max_events,
        max_bytes=policies.buffer_max_bytes,
        parked=sum(one.count for one in parked),
        parked_ranges=sum(len(one.ranges) for one in parked),
        reads_past=pipeline.buffer.is_read_past,
        bounded_partitions=sum(1 for lane in lanes if lane.started and pipeline.buffer.bound_of(lane) is not None),
    )


def _limits(limits: DeliveryLimits, policies: Policies) -> LimitsStatus:
    return LimitsStatus(
        concurrency=limits.concurrency.current,
        requests_per_second=limits.requests_per_second,
        contacts_per_second=limits.contacts_per_second,
        max_concurrency=policies.max_concurrency,
        max_concurrency_per_campaign=policies.default.max_concurrency,
    )

"""The answers of `/status`, `/healthz` and `/readyz`. Reads the service's state; changes none of it."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from consumer.core.journal.lane import Lane
from consumer.core.journal.ledger import OwnershipState
from consumer.core.platform.access import AccessState
from consumer.core.terms import Now, Partition, Ticks
from consumer.service.holding import holds_status
from consumer.service.progress import STILL_SECONDS, Cause, Progress, Surroundings, is_recent
from consumer.service.sending import why_not_sending
from consumer.service.service import Service
from consumer.service.status_shape import AccessStatus, Health, PartitionState, PartitionStatus, ServiceStatus

STUCK_SECONDS = 30.0
"""The engine takes a turn every second; one that has taken none for this long needs a restart."""

TOP_CAMPAIGNS = 20
NAMED_CAMPAIGNS = 100

WHY: Mapping[AccessState, str] = {
    AccessState.FIRST_CONTACT: "this URL, key and field names have had no 2xx yet",
    AccessState.STOPPED: "the platform refuses our key, role, credit, proxy or address",
    AccessState.UNREACHABLE: "the platform cannot be reached",
    AccessState.PAUSED: "the platform asked for a pause (503, Retry-After)",
}
NAMED_PARTITIONS = 5

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
        self, service: Service, *, request_seconds: float, kafka_troubled_at: Callable[[], Ticks | None]
    ) -> None:
        """`request_seconds` is the longest that an attempt takes; `kafka_troubled_at` returns when brokers last had trouble."""
        self._service = service
        self._progress = Progress(service.pipeline, request_seconds=request_seconds)
        self._kafka_troubled_at = kafka_troubled_at
        self._started_at = service.clock.now().wall

    def status(self) -> ServiceStatus:
        """Return everything `GET /status` says."""
        service, pipeline, policies = self._service, self._service.pipeline, self._service.policies
        now = service.clock.now()
        by_campaign = sorted(pipeline.queue.in_flight_by_campaign().items(), key=lambda item: -item[1])
        return ServiceStatus(
            version=service.identity.version,
            group=service.identity.group,
            member=service.member,
            uptime_seconds=round(now.steady - service.started_at, 1),
            state=service.state,
            partitions=[self._partition(lane) for lane in pipeline.lanes.values()],
            windows_open=len(pipeline.windows),
            sends={
                "queued": pipeline.queue.queued,
                "in_flight": pipeline.queue.in_flight,
                "in_flight_by_campaign": {str(campaign): count for campaign, count in by_campaign[:TOP_CAMPAIGNS]},
            },
            access=self._access_status(),
            buffer={
                "events": pipeline.held_events,
                "bytes": pipeline.held_bytes,
                "max_events": policies.buffer_max_events,
                "max_bytes": policies.buffer_max_bytes,
            },
            limits={
                "max_concurrency": policies.max_concurrency,
                "max_concurrency_per_campaign": policies.default.max_concurrency,
            },
            holds=holds_status(pipeline.access.holds),
            results={status.value: count for status, count in service.results_by_status.items()},
            deduplication={
                "entries": pipeline.deduplication.entries,
                "effective_window_seconds": round(pipeline.deduplication.window_seconds(now.wall), 1),
            },
        )

    def _partition(self, lane: Lane) -> PartitionStatus:
        partitions = self._service.partitions
        stopped = partitions.stopped.get(lane.partition)
        log_end, position = partitions.log_ends.get(lane.partition), None
        watermark = reached = partitions.known_done.get(lane.partition)
        if lane.started:
            watermark, position = lane.watermark.value, lane.watermark.position
            reached = position
            log_end = None if log_end is None else max(log_end, position)  # it was read some seconds ago
        return PartitionStatus(
            topic=lane.partition.topic,
            partition=lane.partition.number,
            state="stopped" if stopped is not None or lane.refused is not None else STATE_OF[lane.ledger.standing],
            committed=partitions.committed.get(lane.partition),
            watermark=watermark,
            position=position,
            log_end=log_end,
            lag=None if log_end is None or reached is None else max(0, log_end - reached) + lane.held_events,
            held=lane.held_events,
            paused=lane.partition in partitions.paused,
            why=_stopped(lane.partition, stopped)
            if stopped is not None
            else lane.refused
            or lane.trouble
            or partitions.unreadable.get(lane.partition.topic)
            or self._why_full(lane),
        )

    def _why_full(self, lane: Lane) -> str | None:
        """Return why a partition at work is not read: events of held campaigns fill their half of the buffer."""
        stops = self._service.pipeline.stops
        events, _ = stops.held_back(lane)
        if not (events and stops.is_full):
            return None
        return (
            f"{events} events of held campaigns wait here, and all such events fill half of the buffer: the partition is "
            "read again when they are released, cancelled or past their deadline"
        )

    def _access_status(self) -> AccessStatus:
        service = self._service
        access, now = service.pipeline.access, service.clock.now()
        state, since, probe_at = access.state(now), access.since_at(now), access.next_probe_at(now)
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

    def health(self) -> Health:
        """Return whether the process makes progress; where it does not, a restart is the cure."""
        service = self._service
        now = service.clock.now()
        reasons: list[str] = []
        if now.steady - service.engine.turned_at > STUCK_SECONDS:
            reasons.append(f"the engine has not turned for {now.steady - service.engine.turned_at:.0f} s")
        if service.state == "running":
            around = self._surroundings(now)
            reasons += [str(one) for one in self._progress.standstills(now, around) if one.cause is Cause.OURS]
            still_seconds = now.steady - service.looked_for_records_at
            if still_seconds > STILL_SECONDS and not is_recent(around.troubled_at, now):
                reasons.append(f"nothing has been read, nor asked for, for {still_seconds:.0f} s")
        return Health(reasons=tuple(reasons))

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

    def ready(self) -> Health:
        """Return whether the service does its work: joined, brokers reachable, the platform lets us in, partitions move."""
        service = self._service
        reasons: list[str] = []
        if service.state == "draining":
            reasons.append("draining")
        now = service.clock.now()
        if not service.member:
            reasons.append("has not joined the consumer group yet")
        elif service.partitions.away_seconds > STILL_SECONDS:
            reasons.append(
                f"has had no place in the consumer group for {service.partitions.away_seconds:.0f} s: look at the "
                "group's coordinator and its other members"
            )
        if service.partitions.broker_trouble is not None:
            reasons.append(f"no broker can be reached: {service.partitions.broker_trouble}")
        elif service.partitions.unanswered:
            names = ", ".join(map(str, service.partitions.unanswered[:NAMED_PARTITIONS]))
            reasons.append(f"no leader answers for {len(service.partitions.unanswered)} partitions ({names})")
        reasons.extend(why_not_sending(service.pipeline, now, control_trouble=service.control.trouble))
        reasons.extend(
            f"partition {partition} is {_stopped(partition, why)}"
            for partition, why in service.partitions.stopped.items()
        )
        unreadable = service.partitions.unreadable
        reasons.extend(f"the events topic {topic!r} cannot be read: {why}" for topic, why in unreadable.items())
        for lane in service.pipeline.lanes.values():
            if lane.refused is not None:
                reasons.append(f"partition {lane.partition} is stopped: {lane.refused}")
            elif lane.trouble is not None:
                reasons.append(f"partition {lane.partition} waits for its journal: {lane.trouble}")
        if service.state == "running":
            found = self._progress.standstills(now, self._surroundings(now))
            reasons += [str(one) for one in found if one.cause is Cause.OUTSIDE]
        return Health(reasons=tuple(reasons))


def _stopped(partition: Partition, why: str) -> str:
    return f"stopped: {why}; cure: campaign-consumer inspect --accept {partition}"

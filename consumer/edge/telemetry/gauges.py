"""Every gauge: name, labels, meaning, and the field of the service's status that it shows. Changes nothing."""

import platform
from collections.abc import Callable, Iterable
from typing import cast, get_args

from consumer.edge.telemetry.meters import Described, GaugeReading, Key
from consumer.service.status_shape import AccessState, BreakerState, PartitionStatus, ServiceStatus
from consumer.service.verdict import GRADE_RANK, VerdictCause

PARTITION = ("topic", "partition")


def gauge(
    name: str, labels: tuple[str, ...], meaning: str, read: Callable[[ServiceStatus], Iterable[tuple[Key, float]]]
) -> GaugeReading[ServiceStatus]:
    """Declare a gauge; `read` returns its samples from a status."""
    return GaugeReading(described=Described(name=name, kind="gauge", labels=labels, meaning=meaning), read=read)


def _one(read: Callable[[ServiceStatus], float]) -> Callable[[ServiceStatus], Iterable[tuple[Key, float]]]:
    return lambda now: [((), read(now))]


def _each(read: Callable[[PartitionStatus], float | None]) -> Callable[[ServiceStatus], Iterable[tuple[Key, float]]]:
    def rows(now: ServiceStatus) -> Iterable[tuple[Key, float]]:
        for partition in now["partitions"]:
            value = read(partition)
            if value is not None:  # not known yet: no sample, rather than a wrong one
                yield (partition["topic"], partition["partition"]), value

    return rows


def _lag_parts(now: ServiceStatus) -> Iterable[tuple[Key, float]]:
    for partition in now["partitions"]:
        for part, records in (partition["lag_parts"] or {}).items():
            yield (partition["topic"], partition["partition"], part), cast("int", records)


def _oldest(now: ServiceStatus) -> Iterable[tuple[Key, float]]:
    for stage, seconds in now["oldest"].items():
        yield (stage,), cast("float | None", seconds) or 0.0


def _urgent_late(now: ServiceStatus) -> Iterable[tuple[Key, float]]:
    late_seconds = now["urgent_late_seconds"]
    return [] if late_seconds is None else [((), late_seconds)]


def _rates(now: ServiceStatus) -> Iterable[tuple[Key, float]]:
    rates = {"requests": now["limits"]["requests_per_second"], "contacts": now["limits"]["contacts_per_second"]}
    return [((what,), per_second) for what, per_second in rates.items() if per_second is not None]


def _states(states: tuple[str, ...], current: str) -> Iterable[tuple[Key, float]]:
    return [((state,), float(state == current)) for state in states]


def _partition_states(now: ServiceStatus) -> Iterable[tuple[Key, float]]:
    current: list[str] = [partition["state"] for partition in now["partitions"]]
    states = ("claiming", "reading", "owned", "unsure", "lost", "stopped")
    return [((state,), float(current.count(state))) for state in states]


def _verdict_causes(now: ServiceStatus) -> Iterable[tuple[Key, float]]:
    named = {one["cause"] for one in now["verdict"]["causes"]}
    return [((cause.value,), float(cause.value in named)) for cause in VerdictCause]


READINGS: tuple[GaugeReading[ServiceStatus], ...] = (
    gauge(
        "campaign_committed_offset",
        PARTITION,
        "The offset that the group last committed",
        _each(lambda p: p["committed"]),
    ),
    gauge(
        "campaign_watermark_offset",
        PARTITION,
        "The offset below which every record has an outcome and an acknowledged result",
        _each(lambda p: p["watermark"]),
    ),
    gauge("campaign_position_offset", PARTITION, "The next offset to be read", _each(lambda p: p["position"])),
    gauge(
        "campaign_log_end_offset",
        PARTITION,
        "The offset after the last readable record, as last seen",
        _each(lambda p: p["log_end"]),
    ),
    gauge(
        "campaign_lag_records",
        PARTITION,
        "Readable records without an acknowledged result: in hand, or between position and log end",
        _each(lambda p: p["lag"]),
    ),
    gauge(
        "campaign_lag_part_records",
        (*PARTITION, "part"),
        "Parts of `campaign_lag_records`, by what the records wait for: the sum of all parts is that metric, in every scrape",
        _lag_parts,
    ),
    gauge(
        "campaign_lag_seconds",
        PARTITION,
        "The age of the oldest record without an acknowledged result, by its timestamp in Kafka; 0 where none is left",
        _each(lambda p: p["lag_seconds"]),
    ),
    gauge(
        "campaign_urgent_late_seconds",
        (),
        "By how much the oldest record of urgent topics (`KAFKA__URGENT_TOPICS`) is late; none where there are no such topics",
        _urgent_late,
    ),
    gauge(
        "campaign_oldest_event_seconds",
        ("stage",),
        "For how long the oldest event of a stage has been in this process; 0 where the stage has none",
        _oldest,
    ),
    gauge(
        "campaign_held_events",
        PARTITION,
        "Records that were read and have no acknowledged result yet",
        _each(lambda p: p["held"]),
    ),
    gauge(
        "campaign_partitions",
        ("state",),
        "Partitions of this member by state; `stopped`: until an operator decides",
        _partition_states,
    ),
    gauge(
        "campaign_partitions_paused",
        (),
        "Partitions that are not read now: there is no room (`BUFFER__*`, `KAFKA__MAX_AHEAD`), or the partition is not at work",
        _one(lambda now: sum(partition["paused"] for partition in now["partitions"])),
    ),
    gauge(
        "campaign_buffer_events", (), "Decoded events that the process holds", _one(lambda now: now["buffer"]["events"])
    ),
    gauge(
        "campaign_buffer_bytes",
        (),
        "Bytes charged for the decoded events that the process holds",
        _one(lambda now: now["buffer"]["bytes"]),
    ),
    gauge(
        "campaign_buffer_max_events",
        (),
        "How many decoded events the process may hold: `BUFFER__MAX_EVENTS`",
        _one(lambda now: now["buffer"]["max_events"]),
    ),
    gauge(
        "campaign_buffer_max_bytes",
        (),
        "How many bytes the decoded events may be charged with: `BUFFER__MAX_BYTES`",
        _one(lambda now: now["buffer"]["max_bytes"]),
    ),
    gauge(
        "campaign_read_past",
        (),
        "1 while reading goes on past what has no room in the buffer, or in its campaign's share (`KAFKA__READ_AHEAD`), else 0",
        _one(lambda now: float(now["buffer"]["reads_past"])),
    ),
    gauge(
        "campaign_bounded_partitions",
        (),
        "Partitions of which nothing more is read: as much waits or is parked as `KAFKA__MAX_AHEAD`, or half of `BUFFER__MAX_BYTES`, allows",
        _one(lambda now: now["buffer"]["bounded_partitions"]),
    ),
    gauge(
        "campaign_parked_ranges",
        (),
        "In how many ranges parked records stand: many small ones have to be read again piece by piece",
        _one(lambda now: now["buffer"]["parked_ranges"]),
    ),
    gauge(
        "campaign_parked_age_seconds",
        (),
        "How long ago the eldest parked record was published, by its timestamp in Kafka; 0 where none is parked",
        _one(lambda now: now["ages"]["parked"]),
    ),
    gauge("campaign_windows_open", (), "Windows that still collect events", _one(lambda now: now["windows_open"])),
    gauge(
        "campaign_sends_queued",
        (),
        "Sends waiting for a slot, a limit or a retry",
        _one(lambda now: now["sends"]["queued"]),
    ),
    gauge(
        "campaign_requests_in_flight",
        (),
        "Sends with a slot: their intent is on its way into the journal, or their answer is awaited",
        _one(lambda now: now["sends"]["in_flight"]),
    ),
    gauge(
        "campaign_requests_in_flight_limit",
        (),
        "How many sends may have a slot at once: `DELIVERY__MAX_CONCURRENCY`",
        _one(lambda now: now["limits"]["max_concurrency"]),
    ),
    gauge(
        "campaign_concurrency_limit",
        (),
        "How many sends may have a slot at once now: less than `DELIVERY__MAX_CONCURRENCY` where the platform takes less",
        _one(lambda now: now["limits"]["concurrency"]),
    ),
    gauge(
        "campaign_rate_limit",
        ("unit",),
        "How much this instance may start in a second: its share of `DELIVERY__RATE_LIMIT__*`; no sample without a limit",
        _rates,
    ),
    gauge(
        "campaign_breaker_state",
        ("state",),
        "1 for the present state of the circuit breaker, 0 for the others",
        lambda now: _states(get_args(BreakerState), now["breaker"]["state"]),
    ),
    gauge(
        "campaign_access_state",
        ("state",),
        "1 for the present state of access to the platform, 0 for the others",
        lambda now: _states(get_args(AccessState), now["access"]["state"]),
    ),
    gauge(
        "campaign_refused_campaigns",
        (),
        "Campaigns that the key or its role may not send",
        _one(lambda now: now["access"]["refused_count"]),
    ),
    gauge(
        "campaign_refused_campaign_seconds",
        ("campaign",),
        "For how long a campaign has been refused, without outages; the 20 that were refused first",
        lambda now: [((campaign,), seconds) for campaign, seconds in now["access"]["refused_seconds"].items()],
    ),
    gauge(
        "campaign_dry_run",
        (),
        "1 while no request is made (`DELIVERY__DRY_RUN`), 0 otherwise",
        _one(lambda now: float(now["modes"]["dry_run"])),
    ),
    gauge(
        "campaign_test_recipients",
        (),
        "How many phones and codes are sent to, and nobody else (`DELIVERY__TEST_RECIPIENTS`); 0: everybody is",
        _one(lambda now: now["modes"]["test_recipients"]),
    ),
    gauge(
        "campaign_holds",
        (),
        "Holds in force, of campaigns and of everything: `campaigns list` says whose and why",
        _one(lambda now: len(now["holds"]["holds"])),
    ),
    gauge(
        "campaign_hold_age_seconds",
        (),
        "For how long the eldest hold has been in force; 0 where none is",
        _one(lambda now: now["ages"]["hold"]),
    ),
    gauge(
        "campaign_last_commit_age_seconds",
        (),
        "How long ago commits were last complete: acknowledged, or with nothing to commit",
        _one(lambda now: now["ages"]["commit"]),
    ),
    gauge(
        "campaign_checkpoint_age_seconds",
        (),
        "How long ago checkpoints last said all that was to be said; of the partition where that is longest ago",
        _one(lambda now: now["ages"]["checkpoint"]),
    ),
    gauge(
        "campaign_deduplication_entries",
        (),
        "Event IDs that deduplication remembers",
        _one(lambda now: now["deduplication"]["entries"]),
    ),
    gauge(
        "campaign_deduplication_window_seconds",
        (),
        "How far back a repeated event ID is recognised; less than `DEDUPLICATION__TTL` where `DEDUPLICATION__MAX_ENTRIES` is reached",
        _one(lambda now: now["deduplication"]["effective_window_seconds"]),
    ),
    gauge(
        "campaign_verdict_grade",
        (),
        "How bad the verdict on the service is: 0 good, 1 worth knowing, 2 somebody has to look; `/status` gives the words",
        _one(lambda now: GRADE_RANK[now["verdict"]["grade"]]),
    ),
    gauge(
        "campaign_verdict_cause",
        ("cause",),
        "1 for each cause that the verdict on the service names, 0 for all other causes",
        _verdict_causes,
    ),
    gauge(
        "campaign_service_state",
        ("state",),
        "1 for the service's present state, 0 for the others",
        lambda now: _states(("starting", "running", "draining"), now["state"]),
    ),
    gauge(
        "campaign_topic_retention_seconds",
        ("topic",),
        "For how long Kafka keeps the records of an events topic; none where that is for ever or not known (DESCRIBE_CONFIGS)",
        lambda now: [((topic,), seconds) for topic, seconds in now["retention_seconds"].items()],
    ),
    gauge(
        "campaign_build_info",
        ("version", "python"),
        "Always 1; the labels say what is running",
        lambda now: [((now["version"], platform.python_version()), 1.0)],
    ),
)

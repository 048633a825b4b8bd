"""Finds everything that troubles the service, for its verdict. Reads the service's state; changes none of it."""

from collections.abc import Iterator, Sequence

from consumer.core.journal.stop import Stop, cure
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Partition
from consumer.service.progress import STILL_SECONDS, Cause, Standstill, Surroundings, is_recent
from consumer.service.sending import PATIENCE_SECONDS, since_of, waiting_events, wall_of, why_not_sending
from consumer.service.service import Service
from consumer.service.verdict import Trouble, VerdictCause, passing_or_lasting, span_of

STUCK_SECONDS = 30.0
"""The engine takes a turn every second; one that has taken none for this long needs a restart."""

SLOW_RESULTS_SECONDS = 2.0
"""A publication takes milliseconds; one that takes longer is worth knowing of."""

NAMED_PARTITIONS = 5


_FOLLOWS_FROM_NO_BROKER = frozenset(
    {
        VerdictCause.CONTROL_TOPIC,
        VerdictCause.JOURNAL_UNSURE,
        VerdictCause.RESULTS_UNACKNOWLEDGED,
        VerdictCause.STALLED,
    }
)


def troubles_of(
    service: Service, standstills: Sequence[Standstill], around: Surroundings, now: Now
) -> Iterator[Trouble]:
    """Yield all troubles; `standstills` are the partitions that make no progress.

    While no broker can be reached, what follows from that is not named: it would hide what has to be mended.
    """
    no_broker = service.partitions.broker_trouble is not None
    for trouble in _all_troubles(service, standstills, around, now):
        if not (no_broker and trouble.cause in _FOLLOWS_FROM_NO_BROKER):
            yield trouble


def _all_troubles(
    service: Service, standstills: Sequence[Standstill], around: Surroundings, now: Now
) -> Iterator[Trouble]:
    yield from _phase(service)
    yield from modes(service.policies)
    yield from _stuck(service, standstills, around, now)
    yield from _brokers(service, now)
    yield from why_not_sending(service.pipeline, now, control_trouble=service.control.trouble)
    yield from _partitions(service)
    yield from _results(service, now)
    yield from _buffer(service)
    if service.state == "running":
        for one in standstills:
            if one.cause is Cause.OUTSIDE:
                yield Trouble(
                    cause=VerdictCause.STALLED,
                    grade="bad",
                    headline=f"partition {one.partition} stands still",
                    sentence=str(one),
                    since=Instant(now.wall - one.seconds),
                    unready=True,
                )


def _phase(service: Service) -> Iterator[Trouble]:
    if service.state == "draining":
        yield Trouble(
            cause=VerdictCause.DRAINING,
            grade="warn",
            headline="draining",
            sentence="draining",
            events=service.pipeline.buffer.held_events,
            unready=True,
        )
    away_seconds = service.partitions.away_seconds
    if not (service.member and (service.is_in_group or away_seconds > STILL_SECONDS)):
        yield Trouble(
            cause=VerdictCause.STARTING,
            grade="warn",
            headline="starting: it has not joined its group yet",
            sentence="has not joined the consumer group yet",
            unready=True,
        )
    elif away_seconds > STILL_SECONDS:
        yield Trouble(
            cause=VerdictCause.NOT_A_MEMBER,
            grade="bad",
            headline=f"without a place in its group for {span_of(away_seconds)}",
            sentence=f"has had no place in the consumer group for {away_seconds:.0f} s: look at the "
            "group's coordinator and its other members",
            unready=True,
        )


def modes(policies: Policies) -> Iterator[Trouble]:
    """Yield the settings under which people are left out who would be texted otherwise: nobody shall forget them."""
    if policies.dry_run:
        yield Trouble(
            cause=VerdictCause.DRY_RUN,
            grade="warn",
            headline="dry run: nobody is texted",
            sentence="dry run: nobody is texted, events settle cancelled (dry_run) when it would be their turn; take "
            "CAMPAIGN_DELIVERY__DRY_RUN away to send, then replay what was cancelled",
        )
    if policies.test_recipients:
        count = len(policies.test_recipients)
        whom = "the one test recipient" if count == 1 else f"the {count:,} test recipients"
        yield Trouble(
            cause=VerdictCause.TEST_RECIPIENTS,
            grade="warn",
            headline=f"nobody but {whom} is texted",
            sentence=f"nobody but {whom} is texted, events for others settle cancelled (not_a_test_recipient); take "
            "CAMPAIGN_DELIVERY__TEST_RECIPIENTS away to send to everybody, then replay what was cancelled",
        )


def _stuck(service: Service, standstills: Sequence[Standstill], around: Surroundings, now: Now) -> Iterator[Trouble]:
    """Yield what only a restart cures."""

    def stuck(sentence: str, seconds: float) -> Trouble:
        headline = "stuck: a task of this process makes no progress, restart it"
        since = Instant(now.wall - seconds)
        return Trouble(cause=VerdictCause.STUCK, grade="bad", headline=headline, sentence=sentence, since=since)

    unturned = now.steady - service.engine.turned_at
    if unturned > STUCK_SECONDS:
        yield stuck(f"the engine has not turned for {unturned:.0f} s", unturned)
    if service.state != "running":
        return
    for one in standstills:
        if one.cause is Cause.OURS:
            yield stuck(str(one), one.seconds)
    unread = now.steady - service.looked_for_records_at
    if unread > STILL_SECONDS and not is_recent(around.troubled_at, now):
        yield stuck(f"nothing has been read, nor asked for, for {unread:.0f} s", unread)


def _brokers(service: Service, now: Now) -> Iterator[Trouble]:
    partitions = service.partitions
    away_since = wall_of(partitions.brokers_away_since, now)
    if partitions.broker_trouble is not None:
        yield Trouble(
            cause=VerdictCause.BROKERS,
            grade="bad",
            headline="held back by the brokers: none can be reached",
            sentence=f"no broker can be reached{since_of(away_since, now)}: {partitions.broker_trouble.rstrip('.')}; ask who runs them, "
            "the service connects again by itself",
            since=away_since,
            events=waiting_events(service.pipeline),
            unready=True,
        )
    elif partitions.unanswered:
        count = len(partitions.unanswered)
        names = ", ".join(map(str, partitions.unanswered[:NAMED_PARTITIONS]))
        yield Trouble(
            cause=VerdictCause.BROKERS,
            grade="bad",
            headline=f"held back by the brokers: no leader answers for {count} partition{'s' if count > 1 else ''}",
            sentence=f"no leader answers for {count} partition{'s' if count > 1 else ''} ({names}){since_of(away_since, now)}",
            since=away_since,
            unready=True,
        )


# ------------------------------------------------------------------------------------------------ partitions


def _partitions(service: Service) -> Iterator[Trouble]:
    yield from _stopped(service)
    for lane in service.pipeline.lanes.values():
        if lane.trouble is not None and lane.refused is None and lane.partition not in service.partitions.stopped:
            yield Trouble(
                cause=VerdictCause.JOURNAL_UNSURE,
                grade="bad",
                headline="held back by the brokers: an append to a journal is not acknowledged",
                sentence=f"partition {lane.partition} waits for its journal: {lane.trouble}",
                events=lane.held_events,
                unready=True,
            )


def _stopped(service: Service) -> Iterator[Trouble]:
    lanes, stopped = service.pipeline.lanes, service.partitions.stopped
    sentences = [f"partition {partition} is {stopped_because(partition, stop)}" for partition, stop in stopped.items()]
    topics = service.partitions.unreadable
    sentences += [f"the events topic {topic!r} cannot be read: {why}" for topic, why in topics.items()]
    sentences += [
        f"partition {lane.partition} is stopped: {lane.refused}"
        for lane in lanes.values()
        if lane.refused is not None and lane.partition not in stopped
    ]
    waiting = {partition for partition in lanes if partition.topic in topics} | stopped.keys()
    waiting |= {partition for partition, lane in lanes.items() if lane.refused is not None}
    known = len(lanes.keys() | waiting)
    for sentence in sentences:
        yield Trouble(
            cause=VerdictCause.PARTITIONS_STOPPED,
            grade="bad",
            headline=f"stopped: {len(waiting)} of {known} partition{'s' if known > 1 else ''}",
            sentence=sentence,
            unready=True,
        )


def stopped_because(partition: Partition, stop: Stop) -> str:
    """Return why a partition waits for a person, and what that person can do."""
    return f"stopped: {stop.why}; cure: {cure(stop, partition)}"


def _results(service: Service, now: Now) -> Iterator[Trouble]:
    since = service.engine.publishing_since
    if since is None or now.steady - since < SLOW_RESULTS_SECONDS:
        return
    lasts = now.steady - since >= PATIENCE_SECONDS
    yield passing_or_lasting(
        cause=VerdictCause.RESULTS_UNACKNOWLEDGED,
        headline="held back by the brokers: results are not acknowledged",
        sentence=f"results are not acknowledged for {now.steady - since:.0f} s: look at the brokers and at the results "
        "topic's min.insync.replicas; nothing is lost, the partitions wait",
        since=wall_of(since, now),
        events=sum(lane.publishing_events for lane in service.pipeline.lanes.values()),
        lasts=lasts,
    )


def _buffer(service: Service) -> Iterator[Trouble]:
    pipeline = service.pipeline
    shortage = pipeline.buffer.shortage()
    if shortage is None:
        return
    yield Trouble(
        cause=VerdictCause.BUFFER_FULL,
        grade="warn",
        headline="the buffer is full",
        sentence=f"the buffer is full, {shortage.what}: see what else holds them back; {shortage.bounded_by}",
    )

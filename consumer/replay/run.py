"""Before a plan is run: same cluster, its records there and unchanged, and what came of their events since.

Publishes nothing. Reads each record of the plan once; what is left is a state for every row.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from consumer.replay.coding import digest_in, record_fingerprint
from consumer.replay.document import Plan
from consumer.replay.event_ids import EventIds, EventSieve
from consumer.replay.originals import near_runs
from consumer.replay.ranges import ReadingProgress
from consumer.replay.rows import Rows, RowState
from consumer.replay.since import Since
from consumer.replay.tail import Key, LogsWithOpenEnds, Tail

UNSETTLED_SECONDS: Final = 30.0
"""So long is waited for the outcome of events that are on their way; then they are left out."""
ASK_AGAIN_SECONDS: Final = 0.25


class RefusedPlanError(Exception):
    """The plan does not fit what stands in the topics; nothing was published. The message is one line."""


class Prepared:
    """A plan that may be run, and where it stands. Holds no connection: somebody may think about it for long."""

    def __init__(self, plan: Plan, rows: Mapping[Key, Rows], tail: Tail, since: Since) -> None:
        """Take what was found."""
        self.plan = plan
        self.rows = rows
        self.tail = tail
        self._since = since
        self._results = _ResultsSince(plan, since)

    def count(self, *states: int) -> int:
        """Return how many rows are in one of these states."""
        return sum(rows.count(*states) for rows in self.rows.values())

    @property
    def published(self) -> int:
        """How many records are published, by whichever run."""
        return self.count(RowState.PUBLISHED, RowState.STANDS)

    async def join(self, logs: LogsWithOpenEnds) -> None:
        """Leave out whom the text has reached since the plan was made, as the results say by now."""
        await self._results.look(logs)
        self._leave_out(self._since.reached)

    async def settle(self, logs: LogsWithOpenEnds, on_trouble: Callable[[str], None]) -> None:
        """Wait for events that are on their way, for a bounded time; then leave out those that still are."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + UNSETTLED_SECONDS
        waiting = self._waiting()
        if waiting:
            on_trouble(
                f"{waiting:,} of these events are on their way already: waiting for their outcome, "
                f"{UNSETTLED_SECONDS:.0f} s at most; those without one by then are left out"
            )
        while waiting and loop.time() < give_up_at:
            await asyncio.sleep(ASK_AGAIN_SECONDS)
            await self.join(logs)
            waiting = self._waiting()
        self._leave_out(self._since.pending)

    async def look_again(self, logs: LogsWithOpenEnds) -> None:
        """Leave out, without waiting, what another plan or a producer has sent on its way since the last look."""
        await self.tail.look(logs)
        await self.join(logs)
        self._leave_out(self._since.pending)

    def _waiting(self) -> int:
        pending = self._since.pending
        return sum(rows.count_of(pending) for rows in self.rows.values()) if pending else 0

    def _leave_out(self, events: frozenset[int]) -> None:
        for rows in self.rows.values():
            rows.leave_out(events)


async def prepare(
    plan: Plan, logs: LogsWithOpenEnds, *, progress: ReadingProgress, on_trouble: Callable[[str], None]
) -> Prepared:
    """Check a plan against the topics, and join it with what came since.

    Raises:
        RefusedPlanError: it was made elsewhere, or its records are gone or changed.
        TopicGoneError: a topic is gone.
        KafkaRefusedError: the brokers refuse us.
    """
    ends = await _same_place(plan, logs)
    rows = {(one.topic, one.partition): Rows(one) for one in plan.records}
    among = EventSieve(plan.counts.would_send)
    progress.stage("records", plan.counts.would_send)
    for one in rows.values():
        await _Check(one, among, progress).run(logs)
    since = Since(resend_id=plan.resend_id, statuses=plan.selection.statuses, ends=ends, among=among)
    committed = {key: await logs.committed(*key) for key in rows}

    def others(topic: str, partition: int, records: Sequence[Any]) -> None:
        """Look at what has no outcome for sure yet."""
        settled = committed[topic, partition] or 0
        since.published(topic, partition, (record for record in records if record.offset >= settled))

    tail = Tail(rows, resend_id=plan.resend_id, ends=ends, on_others=others, on_trouble=on_trouble)
    await tail.look(logs)
    prepared = Prepared(plan, rows, tail, since)
    await prepared.join(logs)
    await prepared.settle(logs, on_trouble)
    return prepared


async def _same_place(plan: Plan, logs: LogsWithOpenEnds) -> dict[Key, int]:
    cluster_id = await logs.cluster_id()
    if cluster_id != plan.cluster_id:
        raise RefusedPlanError(
            f"the plan was made on the cluster {plan.cluster_id}, and this is {cluster_id}: run it there, or plan here"
        )
    ends: dict[Key, int] = {}
    for topic in plan.events:
        ends |= {(topic.topic, number): end for number, end in enumerate(topic.ends)}
    for one in plan.records:
        name, end = f"{one.topic}:{one.partition}", ends.get((one.topic, one.partition))
        if end is None:
            raise RefusedPlanError(f"the plan does not say where {name} ended: plan again")
        _, ends_now = await logs.bounds(one.topic, one.partition)
        if ends_now < end:  # what an earlier run has published would not be found
            raise RefusedPlanError(
                f"{name} ends at offset {ends_now}, and ended at {end} when the plan was made: the topic was recreated "
                "or truncated; plan again; nothing was published"
            )
    return ends


class _Check:
    """Looks at every record of a partition's rows, and notes what it is known by."""

    def __init__(self, rows: Rows, among: EventSieve, progress: ReadingProgress) -> None:
        self._rows = rows
        self._among = among
        self._progress = progress
        self._planned = rows.records()
        self._next = next(self._planned, None)
        self._row = 0
        self._event_ids = EventIds()

    async def run(self, logs: LogsWithOpenEnds) -> None:
        """Read them, and nothing that stands far from them.

        Raises:
            RefusedPlanError: one is gone, or is another one.
        """
        for start, stop in near_runs(planned.offset for planned in self._rows.records()):
            await logs.each(self._rows.planned.topic, self._rows.planned.partition, start, stop, self._take)
        if self._next is not None:
            raise self._refusal(self._next.offset, "is gone")

    async def _take(self, records: Sequence[Any]) -> None:
        before, planned = self._row, self._next
        fingerprints, events = self._rows.fingerprints, self._rows.events
        for record in records:
            if planned is None or record.offset < planned.offset:
                continue
            if record.offset > planned.offset:
                raise self._refusal(planned.offset, "is gone")
            fingerprint = record_fingerprint(record.key, record.value, record.headers)
            if digest_in(fingerprint) != planned.digest:
                raise self._refusal(planned.offset, "is not the one that was planned")
            fingerprints[self._row] = fingerprint
            events[self._row] = event = self._event_ids.of(record)
            self._among.add(event)
            self._row += 1
            planned = next(self._planned, None)
        self._next = planned
        self._progress.advance(self._row - before)

    def _refusal(self, offset: int, what: str) -> RefusedPlanError:
        place = f"{self._rows.planned.topic}:{self._rows.planned.partition}:{offset}"
        return RefusedPlanError(f"the record at {place} {what}: plan again; nothing was published")


class _ResultsSince:
    """Reads what came into the results topic since the plan was made."""

    def __init__(self, plan: Plan, since: Since) -> None:
        self._topic = plan.results.topic
        self._since = since
        self._positions = dict(enumerate(plan.results.ends))
        self._is_counted = False

    async def look(self, logs: LogsWithOpenEnds) -> None:
        """Read on to the end, also in partitions that the topic did not have when the plan was made."""
        if not self._is_counted:
            count = await logs.partitions(self._topic)
            self._positions = {number: self._positions.get(number, 0) for number in range(count)}
            self._is_counted = True
        for number, known in self._positions.items():
            _, end = await logs.bounds(self._topic, number)
            start = known if known <= end else 0  # the topic was made anew
            await logs.each(self._topic, number, start, end, self._take)
            self._positions[number] = end

    async def _take(self, records: Sequence[Any]) -> None:
        self._since.results(record.value for record in records)

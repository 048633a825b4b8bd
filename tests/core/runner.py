"""Runs a real pipeline on made-up time, with a journal that never fails and a platform that the test plays.

Obeys the pipeline's own timer alone, so what it forgets to wake for never happens. Decides nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any

import orjson

from consumer.core.commands import Fetched, ReadAgain
from consumer.core.event import Decoded
from consumer.core.journal.entries import Entry, Placed
from consumer.core.journal.entry_decode import decode
from consumer.core.journal.lane import Lane
from consumer.core.journal.ledger import OwnershipState
from consumer.core.outcome import Verdict
from consumer.core.pipeline import Pipeline
from consumer.core.platform.answer import Answer, Answered, Exchange, NoConnectionYet, Unreachable, Withheld
from consumer.core.platform.post import body
from consumer.core.policy import Policies
from consumer.core.sending.send import Send
from consumer.core.terms import Instant, JournalOffset, Offset, Partition, Ticks
from tests.core.intake.wild_events import WildRecord
from tests.core.journal.replaying import last_checkpoint, reading, recall
from tests.core.makers import P0, Names, at, make_claim

OK = Answered(status=200, retry_after_seconds=None, body=b'{"data":{}}')


AGAIN_AT_ONCE = 50
"""Parked records that one piece brings."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request that went out."""

    at: float
    campaign: int
    offsets: list[tuple[int, int]]
    """Partition and offset of each member."""
    references: list[str]
    persons: list[str]
    size_bytes: int


Platform = Callable[[Request], tuple[Answer, float]]
"""Answers a request, after so many seconds."""


def accepting(_request: Request) -> tuple[Answer, float]:
    """A platform in a good mood."""
    return OK, 0.05


@dataclass(eq=False)
class Runner:
    """One process with some partitions."""

    policies: Policies = field(default_factory=Policies)
    platform: Platform = accepting
    partitions: Sequence[Partition] = (P0,)
    time: float = 0.0
    hears: bool = True
    """Whether the control topic is read."""

    def __post_init__(self) -> None:
        self.pipeline = Pipeline(self.policies, group="g", random_source=Names().random_source())
        self.journal: dict[Partition, list[bytes]] = {}
        self.requests: list[Request] = []
        self.results: dict[tuple[int, int], Verdict] = {}
        self.records: dict[tuple[int, int], Decoded] = {}
        self.answers: list[tuple[float, int, Send, Exchange]] = []
        self.sick: set[Partition] = set()
        """Partitions whose journal does not answer."""
        self.stuck: list[tuple[Lane, Sequence[bytes]]] = []
        self.serial = self.posted = self.peak_out = self.turns = 0
        self.withheld: list[str] = []
        self.topic: dict[Partition, dict[int, WildRecord]] = {}
        self.read_again = 0
        """Records that were read once more."""
        for partition in self.partitions:
            self.take(partition)

    def take(self, partition: Partition, start: int | None = None, process: str = "me") -> Lane:
        """Let the group assign a partition, and take it over from what its journal says."""
        lane = self.pipeline.assigned(partition, lambda: make_claim(process), process)
        lane.ledger.may_claim()
        log = self.journal.setdefault(partition, [])
        while lane.ledger.standing is not OwnershipState.TAKING_OVER:
            self.turn()
        begin = start if start is not None else self._watermark(partition)
        values = self.values(partition)[: len(log) - 1]
        horizon = Instant(at(self.time).wall - self.policies.deduplication_ttl_seconds)
        replay = reading(values, policies=self.policies, horizon=horizon)
        recall(self.pipeline, lane, replay, values, horizon=horizon)
        self.pipeline.taken_over(lane, replay.taken_over(Offset(begin)), at(self.time))
        return lane

    def _watermark(self, partition: Partition) -> int:
        found = last_checkpoint(self.values(partition))
        return 0 if found is None else found[1].watermark

    def values(self, partition: Partition = P0) -> list[tuple[JournalOffset, bytes]]:
        return [(JournalOffset(offset), value) for offset, value in enumerate(self.journal[partition])]

    def entries(self, partition: Partition = P0) -> list[Placed]:
        return [decode(offset, value) for offset, value in self.values(partition)]

    def said(self, kind: type[Entry], partition: Partition = P0) -> list[Any]:
        return [placed.entry for placed in self.entries(partition) if isinstance(placed.entry, kind)]

    # ---------------------------------------------------------------- facts

    def feed(self, *documents: dict[str, Any], partition: Partition = P0, first: int | None = None) -> None:
        """Let a batch arrive."""
        lane = self.pipeline.lanes[partition]
        base = lane.watermark.position if first is None else first
        records = [
            WildRecord(value=orjson.dumps(document), offset=base + index, timestamp=int(at(self.time).wall * 1000))
            for index, document in enumerate(documents)
        ]
        self.fetched(lane, records)

    def fetched(self, lane: Lane, records: Sequence[WildRecord]) -> None:
        """Let a batch arrive that stands in the events topic."""
        self.topic.setdefault(lane.partition, {}).update({record.offset: record for record in records})
        self._took(lane, self.pipeline.fetched(lane, records, at(self.time)))

    def _took(self, lane: Lane, fetched: Fetched) -> None:
        for record in fetched.records:
            self.records[lane.partition.number, record.offset] = record

    def _read_again(self, one: ReadAgain) -> None:
        """Read some of what is parked once more."""
        stored = self.topic[one.lane.partition]
        offsets = [offset for offset in sorted(stored) if one.start <= offset < one.stop][:AGAIN_AT_ONCE]
        reached = Offset(offsets[-1] + 1) if len(offsets) == AGAIN_AT_ONCE else one.stop
        self.read_again += len(offsets)
        records = [stored[offset] for offset in offsets]
        self._took(one.lane, self.pipeline.read_again(one.lane, records, reached, at(self.time)))

    def event(self, **changes: Any) -> dict[str, Any]:
        """A valid event of now; an ID of its own unless one is given."""
        self.serial += 1
        phone = changes.pop("phone", "+34600000001")
        document = {
            "eventId": f"e{self.serial}",
            "eventType": "order.shipped",
            "occurredAt": instant(self.time),
            "campaignId": 1,
            "contact": {"phoneE164": phone},
        }
        if "expires_in" in changes:
            changes["expiresAt"] = instant(self.time + changes.pop("expires_in"))
        return document | changes

    def readable(self) -> set[Partition]:
        """Return the partitions that are to be read now."""
        return self.pipeline.buffer.readable(at(self.time))

    def hear(self) -> None:
        """Read the control topic, which is as it was."""
        self.pipeline.stops.heard([], at(self.time).steady, at(self.time))

    def turn(self) -> Ticks | None:
        """Take one turn and do at once what it asks for, requests apart; return when to come back."""
        self.turns += 1
        if self.hears:
            self.hear()
        commands = self.pipeline.turn(at(self.time))
        for lane, values in commands.appends:
            if lane.partition in self.sick:
                self.stuck.append((lane, values))
                continue
            self._land(lane, values)
        for lane, gap in commands.gaps:
            self.pipeline.gap_read(lane, self.entries(lane.partition)[gap.start : gap.stop], at(self.time))
        for one in commands.reads:
            self._read_again(one)
        for send in commands.posts:
            self._post(send)
        for settlement in commands.publications:
            for verdict, records in settlement.items:
                for record in records:
                    place = (record.partition.number, record.offset)
                    assert place not in self.results, f"{place} settled twice"
                    self.results[place] = verdict
            self.pipeline.published([settlement])
        busy = bool(commands.reads or commands.appends or commands.gaps or commands.posts or commands.publications)
        assert commands.wake_at is None or commands.wake_at > self.time, "a wake in the past would be a busy loop"
        return Ticks(self.time) if busy else commands.wake_at

    def _land(self, lane: Lane, values: Sequence[bytes]) -> None:
        log = self.journal.setdefault(lane.partition, [])
        base = len(log)
        log.extend(values)
        self.pipeline.appended(lane, JournalOffset(base), at(self.time))

    def heal(self, partition: Partition) -> None:
        """Let a sick journal answer what it was asked."""
        self.sick.discard(partition)
        stuck = [each for each in self.stuck if each[0].partition == partition]
        self.stuck = [each for each in self.stuck if each not in stuck]
        for lane, values in stuck:
            self._land(lane, values)

    def _post(self, send: Send) -> None:
        withheld = self.pipeline.last_look(send, at(self.time))
        if withheld is not None:
            self.withheld.append(withheld.name)
            exchange = Exchange(answer=Withheld(why=withheld), started_at=None, finished_at=at(self.time).wall)
            self.pipeline.answered(send, exchange, at(self.time))
            return
        contacts = [orjson.loads(event.contact) for event in send.members]
        request = Request(
            at=self.time,
            campaign=send.campaign_id,
            offsets=[(event.partition.number, event.offset) for event in send.members],
            references=[contact["customData"] for contact in contacts],
            persons=[event.person for event in send.members],
            size_bytes=len(body(send.group, [event.contact for event in send.members], self.policies.field_names)),
        )
        answer, seconds = self.platform(request)
        started_at = None if isinstance(answer, Unreachable | NoConnectionYet) else at(self.time).wall
        if started_at is not None:
            self.requests.append(request)
        exchange = Exchange(answer=answer, started_at=started_at, finished_at=at(self.time + seconds).wall)
        self.posted += 1
        heappush(self.answers, (self.time + seconds, self.posted, send, exchange))
        self.peak_out = max(self.peak_out, len(self.answers))

    # ---------------------------------------------------------------- time

    def run(self, *, until: float = 1e6) -> None:
        """Let time pass until nothing is left to do, or until `until`."""
        for _ in range(200_000):
            wake_at = self.turn()
            if wake_at == self.time:
                continue
            upcoming = [each for each in (wake_at, self.answers[0][0] if self.answers else None) if each is not None]
            if not upcoming:
                return
            self.time = max(self.time, min(until, *upcoming))
            if min(upcoming) > until:
                return
            while self.answers and self.answers[0][0] <= self.time:
                _, _, send, exchange = heappop(self.answers)
                self.pipeline.answered(send, exchange, at(self.time))
        raise AssertionError("it never comes to rest")

    def checkpoint(self) -> None:
        """Let every lane write down where it stands."""
        self.pipeline.want_checkpoints(at(self.time))
        self.run(until=self.time)


def instant(seconds: float) -> str:
    """A time of the test as RFC 3339."""
    wall = at(seconds).wall
    whole = int(wall)
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{round((wall - whole) * 1000):03d}Z"

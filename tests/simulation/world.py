"""A seeded world around real pipelines: logs, a platform, owners that crash, freeze and lose their partitions.

Nothing here decides anything that the service decides. Time moves only when the world says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

import orjson

from consumer.core.answer import Answer, Answered, Exchange, Lost, Unreachable, Withheld
from consumer.core.delivery import Chance
from consumer.core.journal import Claim, Outcome, Placed, decode
from consumer.core.lane import Lane, Settlement
from consumer.core.ledger import Gap, Standing
from consumer.core.outcome import Verdict
from consumer.core.pipeline import Pipeline
from consumer.core.policy import CampaignPolicy, OnUnknown, Policies
from consumer.core.send import Send
from consumer.core.takeover import Evidence, Stop, check_group, claimed_since, last_checkpoint, replay, starting_point
from consumer.core.terms import Instant, JournalOffset, Now, Offset, Partition, SendId, Ticks

EPOCH = 1_790_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of the events topic."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One message that reached a person."""

    event_id: str
    person: str
    campaign_id: int
    at: float
    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How likely, for each thing that can go wrong, it is to go wrong."""

    append_lost: float = 0.02
    ack_lost: float = 0.02
    answer_lost: float = 0.05
    server_error: float = 0.05
    throttled: float = 0.05
    unreachable: float = 0.03
    refused: float = 0.03
    crash: float = 0.01
    freeze: float = 0.01
    steal: float = 0.01


NONE = Faults(
    append_lost=0, ack_lost=0, answer_lost=0, server_error=0, throttled=0, unreachable=0, refused=0, crash=0, freeze=0,
    steal=0,
)  # fmt: skip


@dataclass(eq=False)
class Owner:
    """One process. Frozen, it does nothing, and finds out afterwards."""

    name: str
    pipeline: Pipeline
    positions: dict[Partition, int] = field(default_factory=dict)
    frozen_until: float = 0.0
    alive: bool = True


@dataclass(eq=False)
class World:
    """Everything outside the pipelines, and a seeded scheduler of what happens next."""

    seed: int
    faults: Faults = field(default_factory=Faults)
    on_unknown: OnUnknown = OnUnknown.RESEND
    partitions: int = 2
    time: float = 0.0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311  # a replayable world, not a secret
        self.names = [Partition("events", number) for number in range(self.partitions)]
        self.events: dict[Partition, list[Record]] = {name: [] for name in self.names}
        self.journal: dict[Partition, list[bytes]] = {name: [] for name in self.names}
        self.committed: dict[Partition, int] = {}
        self.texts: list[Text] = []
        self.requests: list[tuple[float, list[dict[str, str]]]] = []
        self.published: dict[tuple[Partition, int], list[tuple[Verdict, Instant]]] = {}
        self.trace: list[str] = []
        self.reached: set[str] = set()
        self.owners: list[Owner] = []
        self.holder: dict[Partition, Owner | None] = dict.fromkeys(self.names)
        self.pending: list[tuple[Owner | None, Callable[[], None]]] = []
        """What is under way, and the process that has to be awake for it."""
        self.ids = 0
        policy = CampaignPolicy(
            window_seconds=1.0, max_contacts=4, on_unknown=self.on_unknown, max_attempts=4, max_age_seconds=60.0
        )
        self.policies = Policies(default=policy, max_concurrency=6, deduplication_ttl_seconds=1e6)

    # ---------------------------------------------------------------- the world's clock and dice

    def now(self) -> Now:
        """Return the time, the same for everybody."""
        return Now(Instant(EPOCH + self.time), Ticks(self.time))

    def happens(self, what: str, chance: float) -> bool:
        """Roll for a fault, and remember that it was reached."""
        if self.random.random() >= chance:
            return False
        self.reached.add(what)
        return True

    def name(self) -> str:
        """Return a name that nothing else has."""
        self.ids += 1
        return f"n{self.ids}"

    # ---------------------------------------------------------------- events

    def publish(self, partition: Partition, event: dict[str, object]) -> None:
        """Append an event to the events topic."""
        log = self.events[partition]
        value = orjson.dumps(event)
        log.append(Record(offset=len(log), timestamp=int((EPOCH + self.time) * 1000), key=None, value=value))

    def repeat(self, partition: Partition, record: Record) -> None:
        """Let the producer publish a record once more."""
        self.publish(partition, orjson.loads(record.value or b""))

    # ---------------------------------------------------------------- owners

    def start_owner(self) -> Owner:
        """Start a process."""
        name = self.name()
        chance = Chance(jitter=self.random.random, send_id=lambda: SendId(self.name()))
        owner = Owner(name, Pipeline(self.policies, group="g", chance=chance))
        self.owners.append(owner)
        return owner

    def give(self, partition: Partition, owner: Owner) -> None:
        """Let the group assign a partition; whoever had it may not know yet."""
        owner.pipeline.drop(partition)  # a member that rejoins is told to let go first
        self.holder[partition] = owner
        owner.pipeline.assigned(partition, partial(self._claim, owner), owner.name)

    def _claim(self, owner: Owner) -> Claim:
        return Claim(group="g", member=owner.name, process=owner.name, version="0", claimed_at=self.now().wall)

    def crash(self, owner: Owner) -> None:
        """Kill a process: what it had in flight may still arrive, its answers go nowhere."""
        owner.alive = False
        self.owners.remove(owner)
        replacement = self.start_owner()
        for partition, holder in self.holder.items():
            if holder is owner:
                self.give(partition, replacement)

    # ---------------------------------------------------------------- one step

    def step(self) -> None:
        """Let one thing happen."""
        if self.happens("crash", self.faults.crash):
            self.crash(self.random.choice(self.owners))
        if self.happens("freeze", self.faults.freeze):
            self.random.choice(self.owners).frozen_until = self.time + self.random.uniform(1, 20)
        if self.happens("steal", self.faults.steal):
            self._steal()
        awake = [owner for owner in self.owners if owner.frozen_until <= self.time]
        roll = self.random.random()
        ready = [entry for entry in self.pending if entry[0] is None or not entry[0].alive or entry[0] in awake]
        if ready and roll < 0.6:  # noqa: PLR2004
            entry = self.random.choice(ready)
            self.pending.remove(entry)
            entry[1]()
        elif awake and roll < 0.9:  # noqa: PLR2004
            self._run(self.random.choice(awake))
        else:
            self.time += self.random.choice([0.001, 0.05, 0.5, 1.5])

    def _steal(self) -> None:
        """The group moves a partition: the old owner is told at once, or goes on as a zombie."""
        partition = self.random.choice(self.names)
        old, new = self.holder[partition], self.random.choice(self.owners)
        if old is new or old is None:
            return
        if self.random.random() < 0.5:  # noqa: PLR2004
            old.pipeline.drop(partition)
        self.give(partition, new)

    def _run(self, owner: Owner) -> None:
        """Let a process fetch a little and take a turn."""
        pipeline = owner.pipeline
        for partition in sorted(pipeline.readable()):
            position = owner.positions.get(partition, 0)
            batch = self.events[partition][position : position + self.random.randint(1, 6)]
            if batch and self.holder[partition] is owner:
                owner.positions[partition] = position + len(batch)
                pipeline.fetched(pipeline.lanes[partition], batch, self.now())
        if self.random.random() < 0.1:  # noqa: PLR2004
            pipeline.want_checkpoints()
        self._commit(owner)
        commands = pipeline.turn(self.now())
        for lane, values in commands.appends:
            self._append(owner, lane, values)
        for lane, gap in commands.gaps:
            self.pending.append((owner, partial(self._gap, owner, lane, gap)))
        for send in commands.posts:
            self.pending.append((owner, partial(self._post, owner, send)))
        for settlement in commands.publications:
            self.pending.append((owner, partial(self._publish, owner, settlement)))
        for lane in list(pipeline.lanes.values()):
            self._look_after(owner, lane)

    def _commit(self, owner: Owner) -> None:
        for partition, lane in owner.pipeline.lanes.items():
            if lane.checkpointed and self.random.random() < 0.3:  # noqa: PLR2004
                self.committed[partition] = lane.watermark.value  # also by a zombie: a commit is no fence

    def _look_after(self, owner: Owner, lane: Lane) -> None:
        if lane.ledger.standing is Standing.TAKING_OVER and not lane.taking_over:
            lane.taking_over = True
            self.pending.append((owner, partial(self._take_over, owner, lane)))
        elif lane.ledger.standing is Standing.LOST:
            self.reached.add("lost")
            owner.pipeline.drop(lane.partition)
            if self.holder[lane.partition] is owner:
                self.give(lane.partition, owner)

    # ---------------------------------------------------------------- the journal

    def _append(self, owner: Owner, lane: Lane, values: list[bytes]) -> None:
        """An append leaves; it lands later, or never, and its acknowledgement may be lost."""
        never = self.happens("append_lost", self.faults.append_lost)
        silent = self.happens("ack_lost", self.faults.ack_lost)

        def land() -> None:
            base = len(self.journal[lane.partition])
            if not never:
                self.journal[lane.partition].extend(values)
            if not (owner.alive and lane.ledger.standing is not Standing.LOST):
                return
            if never or silent:
                self.pending.append((owner, partial(self._tell, owner, lambda: owner.pipeline.append_failed(lane))))
            else:
                landed = partial(self._landed, owner, lane, base)
                self.pending.append((owner, partial(self._tell, owner, landed)))

        self.pending.append((None, land))  # what has left a process goes on though it is frozen

    def _landed(self, owner: Owner, lane: Lane, base: int) -> None:
        owner.pipeline.appended(lane, JournalOffset(base), self.now())

    def _tell(self, owner: Owner, fact: Callable[[], None]) -> None:
        if owner.alive:
            fact()

    def _entries(self, partition: Partition, start: int, stop: int) -> list[Placed]:
        return [
            decode(JournalOffset(start + index), value)
            for index, value in enumerate(self.journal[partition][start:stop])
        ]

    def _gap(self, owner: Owner, lane: Lane, gap: Gap) -> None:
        self.reached.add("gap")
        entries = self._entries(lane.partition, gap.start, gap.stop)
        self._tell(owner, lambda: owner.pipeline.gap_read(lane, entries, self.now()))

    def _take_over(self, owner: Owner, lane: Lane) -> None:
        if not owner.alive or lane.dropped:
            return
        partition, claimed_at = lane.partition, lane.ledger.claimed_at
        entries = self._entries(partition, 0, claimed_at)
        check_group(entries, "g", "journal")
        found = last_checkpoint(entries)
        if found is not None:  # read no more than the service would
            first = found[0] if found[1].unpublished is None else min(found[0], found[1].unpublished)
            remembered = [placed for placed in entries if isinstance(placed.entry, Outcome)]
            keep = min([first, *(placed.offset for placed in remembered)])
            entries = [placed for placed in entries if placed.offset >= keep]
        committed = self.committed.get(partition)
        point = starting_point(
            Evidence(
                committed=None if committed is None else Offset(committed),
                committed_by_us=committed is not None,
                checkpoint=None if found is None else found[1],
                journal_is_whole=True,
                log_start=Offset(0),
                log_end=Offset(len(self.events[partition])),
            )
        )
        if isinstance(point, Stop):
            since = self._entries(partition, claimed_at + 1, len(self.journal[partition]))
            other = claimed_since(since, owner.name)
            assert other is not None, point
            self.reached.add("overtaken")
            lane.ledger.overtaken(by=other)
            return
        self.reached.add("taken over")
        owner.positions[partition] = point.offset
        owner.pipeline.taken_over(lane, replay(entries, point.offset))

    # ---------------------------------------------------------------- the platform

    def _post(self, owner: Owner, send: Send) -> None:
        """A connection is in hand: the last look, then the request, whose answer comes later."""
        if not owner.alive:
            return
        withheld = owner.pipeline.last_look(send, self.now())
        if withheld is not None:
            self.reached.add(f"withheld {withheld.name}")
            self._answer(owner, send, Withheld(why=withheld), None)
            return
        if self.happens("unreachable", self.faults.unreachable):
            self._answer(owner, send, Unreachable(detail="refused"), None)
            return
        contacts = [orjson.loads(event.contact) for event in send.members]
        started_at = self.now().wall
        self.requests.append((started_at, contacts))
        answer = self._platform(send, contacts)
        self.pending.append((None, partial(self._later, owner, send, answer, started_at)))

    def _later(self, owner: Owner, send: Send, answer: Answer, started_at: Instant) -> None:
        self.pending.append((owner, partial(self._answer, owner, send, answer, started_at)))

    def _platform(self, send: Send, contacts: list[dict[str, str]]) -> Answer:
        if self.happens("throttled", self.faults.throttled):
            return Answered(status=429, retry_after_seconds=0.5, body=b"{}")
        refusals = [contact for contact in contacts if contact["customData"].endswith("bad")]
        if refusals:
            self.reached.add("refused")
            return Answered(status=422, retry_after_seconds=None, body=b"{}")
        lost = self.happens("answer_lost", self.faults.answer_lost)
        error = self.happens("server_error", self.faults.server_error)
        if (lost or error) and self.random.random() < 0.5:  # noqa: PLR2004
            return Lost(detail="reset") if lost else Answered(status=500, retry_after_seconds=None, body=b"")
        for contact in contacts:
            self.texts.append(
                Text(
                    event_id=contact["customData"],
                    person=contact["phoneE164"],
                    campaign_id=send.campaign_id,
                    at=self.time,
                    request=len(self.requests),
                )
            )
        if lost:
            return Lost(detail="reset")
        if error:
            return Answered(status=500, retry_after_seconds=None, body=b"")
        return Answered(status=200, retry_after_seconds=None, body=b'{"data":{}}')

    def _answer(self, owner: Owner, send: Send, answer: Answer, started_at: Instant | None) -> None:
        if owner.alive:
            exchange = Exchange(answer=answer, started_at=started_at, finished_at=self.now().wall)
            owner.pipeline.answered(send, exchange, self.now())

    # ---------------------------------------------------------------- results

    def _publish(self, owner: Owner, settlement: Settlement) -> None:
        for verdict, records in settlement.items:
            for record in records:
                place = (settlement.lane.partition, record.offset)
                self.published.setdefault(place, []).append((verdict, record.received_at))
        if owner.alive:
            owner.pipeline.published([settlement])

    # ---------------------------------------------------------------- the end

    def settle_down(self, *, steps: int) -> bool:
        """Let faults stop and everything come to its end; return whether it did."""
        self.faults = NONE
        for owner in self.owners:
            owner.frozen_until = 0.0
        for _ in range(steps):
            if self.done():
                return True
            self.step()
        return False

    def done(self) -> bool:
        """Return whether every record has its result."""
        return not self.pending and all(
            (partition, record.offset) in self.published
            for partition in self.names
            for record in self.events[partition]
        )

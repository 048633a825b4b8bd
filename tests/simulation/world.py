"""A seeded world around real pipelines: logs, a group, a platform, owners that crash, freeze and lose partitions.

Nothing here decides anything that the service decides. Time moves only when the world says so.
"""

import dataclasses
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

import orjson

from consumer.core.answer import Answer, Exchange, Unreachable, Withheld
from consumer.core.delivery import Chance
from consumer.core.journal import Claim, Placed, decode
from consumer.core.lane import Lane, Settlement
from consumer.core.ledger import Gap, Standing
from consumer.core.pipeline import Pipeline
from consumer.core.policy import CampaignPolicy, OnUnknown, Policies
from consumer.core.send import Send
from consumer.core.takeover import Evidence, Stop, check_group, claimed_since, last_checkpoint, replay, starting_point
from consumer.core.terms import Instant, JournalOffset, Now, Offset, Partition, SendId, Ticks
from tests.simulation.faults import NONE, Faults
from tests.simulation.judge import Judge, Place
from tests.simulation.platform import SmsPlatform
from tests.simulation.things import Owner, Pending, Record

EPOCH = 1_790_000_000.0
FETCH = 6
BUFFER = 24


@dataclass(eq=False)
class World:
    """Everything outside the pipelines, and a seeded scheduler of what happens next."""

    seed: int
    faults: Faults = field(default_factory=Faults)
    on_unknown: OnUnknown = OnUnknown.RESEND
    partitions: int = 2
    time: float = 0.0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.names = [Partition("events", number) for number in range(self.partitions)]
        self.events: dict[Partition, list[Record]] = {name: [] for name in self.names}
        self.journal: dict[Partition, list[bytes]] = {name: [] for name in self.names}
        self.committed: dict[Partition, tuple[int, bool]] = {}
        """The group's offset, and whether one of us committed it."""
        self.judge = Judge(
            hold=self.on_unknown is OnUnknown.HOLD, journals={name.number: self.journal[name] for name in self.names}
        )
        self.requests: list[list[Place]] = []
        self.reached: set[str] = set()
        self.owners: list[Owner] = []
        self.holder: dict[Partition, Owner | None] = dict.fromkeys(self.names)
        self.pending: list[Pending] = []
        self.platform = SmsPlatform(
            self.random,
            self.judge,
            happens=self.happens,
            later=lambda act, seconds: self.later(None, act, seconds=seconds),
        )
        self.ids = 0
        policy = CampaignPolicy(
            window_seconds=1.0, max_contacts=4, on_unknown=self.on_unknown, max_attempts=4, max_age_seconds=60.0
        )
        self.policies = Policies(
            default=policy,
            max_concurrency=6,
            deduplication_ttl_seconds=1e6,
            buffer_max_events=BUFFER,
            max_ahead=self.random.choice([30, 100]),
        )

    # ---------------------------------------------------------------- the world's clock and dice

    def now(self, owner: Owner) -> Now:
        """Return the time as a process sees it; only its wall clock may be off."""
        return Now(Instant(EPOCH + self.time + owner.skew), Ticks(self.time))

    def happens(self, what: str) -> bool:
        """Roll for a fault, and remember that it was reached."""
        chance: float = getattr(self.faults, what)
        if self.random.random() >= chance:
            return False
        self.reached.add(what)
        return True

    def name(self) -> str:
        """Return a name that nothing else has."""
        self.ids += 1
        return f"n{self.ids}"

    def later(self, owner: Owner | None, act: Callable[[], None], *, seconds: float = 0.0) -> None:
        """Have something happen, not before so many seconds."""
        self.pending.append(Pending(at=self.time + seconds, owner=owner, act=act))

    # ---------------------------------------------------------------- events

    def publish(self, partition: Partition, event: dict[str, object]) -> None:
        """Append an event to the events topic; now and then compaction or a transaction leaves a hole before it."""
        log = self.events[partition]
        offset = (log[-1].offset + 1 if log else 0) + (self.random.randint(1, 3) if self.random.random() < 0.1 else 0)
        value = orjson.dumps(event)
        log.append(Record(offset=offset, timestamp=int((EPOCH + self.time) * 1000), key=None, value=value))
        self.judge.recorded((partition.number, offset), value)

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
        return Claim(group="g", member=owner.name, process=owner.name, version="0", claimed_at=self.now(owner).wall)

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
        self._strike()
        awake = [owner for owner in self.owners if owner.frozen_until <= self.time]
        roll = self.random.random()
        ready = [
            each
            for each in self.pending
            if each.at <= self.time and (each.owner is None or not each.owner.alive or each.owner in awake)
        ]
        if ready and roll < 0.6:
            chosen = self.random.choice(ready)
            self.pending.remove(chosen)
            chosen.act()
        elif awake and roll < 0.9:
            self._run(self.random.choice(awake))
        else:
            self.time += self.random.choice([0.001, 0.05, 0.5, 1.5])

    def _strike(self) -> None:
        if self.happens("crash"):
            self.crash(self.random.choice(self.owners))
        if self.happens("freeze"):
            self.random.choice(self.owners).frozen_until = self.time + self.random.choice([0.5, 3.0, 20.0])
        if self.happens("steal"):
            self._move(told=0.5)
        if self.happens("revoke"):
            self._revoke()
        if self.happens("denied"):
            self.platform.denied_until = self.time + self.random.uniform(1, 10)
        if self.happens("clock"):
            self.random.choice(self.owners).skew = self.random.uniform(-3, 3)
        if self.happens("rewind"):
            partition = self.random.choice(self.names)
            offset, _ = self.committed.pop(partition, (0, False))
            if self.random.random() < 0.5:
                self.committed[partition] = (self.random.randint(0, offset), False)

    def _move(self, *, told: float) -> None:
        """The group moves a partition: the old owner is told at once, or goes on as a zombie."""
        partition = self.random.choice(self.names)
        old, new = self.holder[partition], self.random.choice(self.owners)
        if old is new or old is None:
            return
        if self.random.random() < told:
            old.pipeline.drop(partition)
        self.give(partition, new)

    def _revoke(self) -> None:
        """The owner stops starting requests, and lets go when it has had its time; it may get the partition back."""
        partition = self.random.choice(self.names)
        old, new = self.holder[partition], self.random.choice(self.owners)
        if old is None:
            return
        old.pipeline.leave([partition])
        self.holder[partition] = None

        def let_go() -> None:
            if old.alive:
                old.pipeline.want_checkpoints()
                old.pipeline.drop(partition)
            self.give(partition, new if new.alive else self.random.choice(self.owners))

        self.later(None, let_go, seconds=self.random.choice([0.0, 0.5, 5.0]))

    def _run(self, owner: Owner) -> None:
        """Let a process fetch a little and take a turn."""
        pipeline = owner.pipeline
        for partition in sorted(pipeline.readable()):
            log, position = self.events[partition], owner.positions.get(partition, 0)
            first = bisect_left(log, position, key=lambda record: record.offset)
            batch = log[first : first + self.random.randint(1, FETCH)]
            if batch and self.holder[partition] is owner:
                owner.positions[partition] = batch[-1].offset + 1
                pipeline.fetched(pipeline.lanes[partition], batch, self.now(owner))
        self.judge.held(pipeline.held_events, bound=BUFFER - 1 + FETCH * self.partitions)
        if self.random.random() < 0.1:
            pipeline.want_checkpoints()
        self._commit(owner)
        commands = pipeline.turn(self.now(owner))
        for lane, values in commands.appends:
            self._append(owner, lane, values)
        for lane, gap in commands.gaps:
            self.later(owner, partial(self._gap, owner, lane, gap))
        for send in commands.posts:
            self.later(owner, partial(self._post, owner, send))
        for settlement in commands.publications:
            self.later(None, partial(self._publish, owner, settlement))
        for lane in list(pipeline.lanes.values()):
            self._look_after(owner, lane)

    def _commit(self, owner: Owner) -> None:
        for partition, lane in owner.pipeline.lanes.items():
            if lane.checkpointed and self.random.random() < 0.3:
                self.committed[partition] = (lane.watermark.value, True)  # also by a zombie: a commit is no fence
                self.judge.committed(partition.number, lane.watermark.value)

    def _look_after(self, owner: Owner, lane: Lane) -> None:
        if lane.ledger.standing is Standing.TAKING_OVER and not lane.taking_over:
            lane.taking_over = True
            self.later(owner, partial(self._take_over, owner, lane))
        elif lane.ledger.standing is Standing.LOST:
            self.reached.add("lost")
            owner.pipeline.drop(lane.partition)
            if self.holder[lane.partition] is owner:
                self.give(lane.partition, owner)

    # ---------------------------------------------------------------- the journal

    def _append(self, owner: Owner, lane: Lane, values: list[bytes]) -> None:
        """An append leaves; it lands now, later or never, and its acknowledgement may be lost."""
        failed = partial(self._tell, owner, lambda: owner.pipeline.append_failed(lane))

        def land(then: Callable[[JournalOffset], None]) -> None:
            base = JournalOffset(len(self.journal[lane.partition]))
            self.journal[lane.partition].extend(values)
            then(base)

        def acknowledge(base: JournalOffset) -> None:
            fact = partial(owner.pipeline.appended, lane, base)
            self.later(owner, partial(self._tell, owner, lambda: fact(self.now(owner))))

        # What has left a process goes on though it is frozen, or dead.
        if self.happens("append_lost"):
            self.later(owner, failed, seconds=self.random.choice([0.0, 5.0]))
        elif self.happens("append_late"):
            self.later(owner, failed, seconds=self.random.choice([0.0, 5.0]))
            self.later(None, partial(land, lambda _base: None), seconds=self.random.choice([0.0, 5.0, 8.0]))
        elif self.happens("ack_lost"):
            self.later(None, partial(land, lambda _base: self.later(owner, failed)))
        else:
            self.later(None, partial(land, acknowledge))

    def _tell(self, owner: Owner, fact: Callable[[], None]) -> None:
        if owner.alive:
            fact()

    def _entries(self, partition: Partition, start: int, stop: int) -> list[Placed]:
        log = self.journal[partition]
        return [decode(JournalOffset(start + index), value) for index, value in enumerate(log[start:stop])]

    def _gap(self, owner: Owner, lane: Lane, gap: Gap) -> None:
        self.reached.add("gap")
        entries = self._entries(lane.partition, gap.start, gap.stop)
        self._tell(owner, lambda: owner.pipeline.gap_read(lane, entries, self.now(owner)))

    def _take_over(self, owner: Owner, lane: Lane) -> None:
        if not owner.alive or lane.dropped:
            return
        partition, claimed_at = lane.partition, lane.ledger.claimed_at
        entries = self._entries(partition, 0, claimed_at)
        check_group(entries, "g", "journal")
        found = last_checkpoint(entries)
        committed = self.committed.get(partition)
        log = self.events[partition]
        point = starting_point(
            Evidence(
                committed=None if committed is None else Offset(committed[0]),
                committed_by_us=committed is not None and committed[1],
                checkpoint=None if found is None else found[1],
                journal_is_whole=True,
                log_start=Offset(0),
                log_end=Offset(log[-1].offset + 1 if log else 0),
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
        needed = 0 if found is None else min(found[0], found[1].unpublished or found[0])
        taken = replay(entries[needed:], point.offset)  # no more than a service reads of a long journal
        everything = replay(entries, point.offset)
        owner.pipeline.taken_over(lane, dataclasses.replace(taken, fingerprints=everything.fingerprints))

    # ---------------------------------------------------------------- the platform

    def _post(self, owner: Owner, send: Send) -> None:
        """A connection is in hand: the last look, then the request, whose answer comes later."""
        if not owner.alive:
            return
        withheld = owner.pipeline.last_look(send, self.now(owner))
        if withheld is not None:
            self.reached.add(f"withheld {withheld.name}")
            self._answer(owner, send, Withheld(why=withheld), None)
            return
        if self.happens("unreachable"):
            self._answer(owner, send, Unreachable(detail="refused"), None)
            return
        places = [(event.partition.number, int(event.offset)) for event in send.members]
        contacts = [orjson.loads(event.contact) for event in send.members]
        started_at = self.now(owner).wall
        self.requests.append(places)
        self.judge.request_started(owner.name, places, started_at)
        answer = self.platform.asked(places, contacts, self.time)
        # In two steps: it reaches a process that is alive, and is awake, by then.
        arrive = partial(self._answer, owner, send, answer, started_at)
        self.later(None, lambda: self.later(owner, arrive))

    def _answer(self, owner: Owner, send: Send, answer: Answer, started_at: Instant | None) -> None:
        if owner.alive:
            exchange = Exchange(answer=answer, started_at=started_at, finished_at=self.now(owner).wall)
            owner.pipeline.answered(send, exchange, self.now(owner))

    # ---------------------------------------------------------------- results

    def _publish(self, owner: Owner, settlement: Settlement) -> None:
        """Results go out one by one: of a process that has died, perhaps only the first of them."""
        number = settlement.lane.partition.number
        contents = [(verdict, record) for verdict, records in settlement.items for record in records]
        if not owner.alive:
            contents = contents[: self.random.randint(0, len(contents))]
        for verdict, record in contents:
            content = (verdict.status.value, verdict.possible_duplicate, (repr(verdict), record.received_at))
            self.judge.result_published((number, record.offset), *content)
        if owner.alive:
            self.later(owner, partial(self._tell, owner, lambda: owner.pipeline.published([settlement])))

    # ---------------------------------------------------------------- the end

    def settle_down(self, *, steps: int) -> bool:
        """Let faults stop and everything come to its end; return whether it did."""
        self.faults = NONE
        self.platform.denied_until = 0.0
        for owner in self.owners:
            owner.frozen_until = owner.skew = 0.0
        for _ in range(steps):
            if not self.pending and self.judge.everything_is_settled():
                return True
            self.step()
        return False

"""Whatever an honest service lives through, its logs are proven; whatever is forged in them is found."""

from dataclasses import dataclass, field, replace
from random import Random

import orjson
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.audit.fabricated import NOW, TOPIC, Rec, Verdict, World, settled
from tests.audit.honest import change, republish, unpublish

UNSENT = Verdict(attempts=0, dispatched_at=None)
STEPS = 60


@dataclass(slots=True, kw_only=True)
class Sent:
    """A send that is out."""

    send: str
    attempt: int
    offsets: list[int]


@dataclass(slots=True, kw_only=True)
class Life:
    """An owner who does everything right, with bad luck by the dice."""

    dice: Random
    world: World = field(default_factory=World)
    out: list[Sent] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    started: dict[int, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    published: set[int] = field(default_factory=set)
    sends: int = 0
    seconds: float = 0.0

    def live(self) -> World:
        self.world.claim()
        acts = (self.arrive, self.arrive, self.send, self.send, self.answer, self.answer, self.answer)
        rare = (self.crash, self.checkpoint, self.publish, self.give_up)
        for _ in range(self.dice.randint(STEPS // 2, STEPS)):
            self.seconds += self.dice.random()
            self.dice.choice((*acts, *acts, *rare))()
        self.checkpoint()
        self.publish()
        return self.world

    def arrive(self) -> None:
        world, dice = self.world, self.dice
        if dice.random() < 0.1:
            offset = world.events.append(key=None, value=b"{", headers=[("h", b"1")])
            world.settle(self.stamped(replace(UNSENT, status="invalid", reason="not_json")), offset)
            world.dead_letter(offset)
            return
        firsts = [first for first in world.verdicts if world.verdicts[first].status in {"accepted", "failed"}]
        if firsts and dice.random() < 0.2:
            first = dice.choice(firsts)
            offset = world.event(world.event_id(first))
            related = {"eventId": world.event_id(first), "partition": world.partition, "offset": first}
            world.settle(self.stamped(replace(UNSENT, status="duplicate", reason="repeated", related=related)), offset)
            return
        self.waiting.append(world.event(key=dice.choice((None, b"customer"))))

    def send(self) -> None:
        self.dice.shuffle(self.waiting)
        members, self.waiting = self.waiting[:3], self.waiting[3:]
        if members:
            self.sends += 1
            self.post(Sent(send=f"s{self.sends}", attempt=1, offsets=members))

    def post(self, sent: Sent) -> None:
        self.out.append(sent)
        self.world.intent(sent.send, sent.attempt, *sent.offsets)
        for offset in sent.offsets:
            self.started[offset] = self.started.get(offset, 0) + 1

    def answer(self) -> None:
        if not self.out:
            return
        sent = self.out.pop(self.dice.randrange(len(self.out)))
        again = replace(sent, attempt=sent.attempt + 1)
        match self.dice.choice(("accepted", "refused", "busy", "never", "lost")):
            case "accepted":
                self.settle(sent, Verdict(status="accepted"))
            case "refused":
                self.settle(sent, Verdict(status="rejected", reason="contact_refused"))
            case "busy":
                self.world.returned(sent.send, sent.attempt)
                self.post(again)
            case "never":
                self.world.returned(sent.send, sent.attempt, started=False)
                for offset in sent.offsets:
                    self.started[offset] -= 1
                self.waiting += sent.offsets
            case _:
                self.lost |= set(sent.offsets)
                self.world.unknown(sent.send, sent.attempt)
                self.post(again)

    def settle(self, sent: Sent, verdict: Verdict) -> None:
        for offset in sent.offsets:
            doubt = offset in self.lost
            own = replace(verdict, send=sent.send, attempts=self.started[offset], marked=doubt)
            if doubt and verdict.status != "accepted":
                own = replace(own, status="in_doubt", reason="answer_lost", marked=False)
            self.world.settle(self.stamped(own), offset)

    def give_up(self) -> None:
        """The deadline of whoever waits has come."""
        for offset in self.waiting:
            tried = replace(UNSENT, attempts=self.started.get(offset, 0))
            in_doubt = replace(tried, status="in_doubt", reason="owner_lost")
            expired = replace(tried, status="expired", reason="deadline")
            self.world.settle(self.stamped(in_doubt if offset in self.lost else expired), offset)
        self.waiting = []

    def crash(self) -> None:
        """The owner dies, or is believed dead: what it writes later lands elsewhere than it says."""
        zombie = self.world.journal.end
        self.world.claim()
        for sent in self.out:
            if self.dice.random() < 0.5:
                items = [settled(Verdict(send=sent.send), sent.offsets)]
                self.world.entry("outcome", at=zombie, send=sent.send, settled=items)
                zombie += 1
            self.lost |= set(sent.offsets)
            self.world.unknown(sent.send, sent.attempt)
            self.waiting += sent.offsets
        self.out = []
        again = [offset for offset in self.published if self.dice.random() < 0.2]
        self.world.publish(*again)

    def checkpoint(self) -> None:
        self.world.checkpoint()

    def publish(self) -> None:
        fresh = sorted(set(self.world.verdicts) - self.published)
        self.world.publish(*fresh)
        self.published |= set(fresh)
        self.world.committed = self.world.watermark

    def stamped(self, verdict: Verdict) -> Verdict:
        return replace(verdict, received_at=NOW + self.seconds, completed_at=NOW + self.seconds + self.dice.random())


TRIES = 500
LIVES = st.integers(0, 2**32 - 1).map(Random)


@given(LIVES)
def test_an_honest_life_is_proven(dice: Random) -> None:
    life = Life(dice=dice)
    world = life.live()

    findings = world.findings()

    assert findings.violations == []
    assert findings.results == findings.outcomes == len(world.verdicts)
    assert findings.pending == len(life.waiting) + sum(len(sent.offsets) for sent in life.out)
    doubtful = {offset for offset, verdict in world.verdicts.items() if verdict.marked or verdict.status == "in_doubt"}
    assert {one.offset for one in findings.unknown} == doubtful


@given(LIVES, st.data())
def test_a_journal_may_lose_any_beginning_and_the_honest_stay_innocent(dice: Random, data: st.DataObject) -> None:
    world = Life(dice=dice).live()
    world.journal.trim(data.draw(st.integers(0, world.journal.end)))

    assert world.findings().violations == []


def _one_settled(world: World, dice: Random) -> int:
    committed = [offset for offset in world.verdicts if offset < (world.committed or 0)]
    assume(committed)
    return dice.choice(sorted(committed))


@given(LIVES)
def test_whichever_result_is_missing_is_missed(dice: Random) -> None:
    world = Life(dice=dice).live()
    offset = _one_settled(world, dice)
    unpublish(world, offset)

    assert world.found() == {("no_result", TOPIC, 1, offset)}


@given(LIVES)
def test_whichever_field_of_a_result_is_forged_is_noticed(dice: Random) -> None:
    world = Life(dice=dice).live()
    offset = _one_settled(world, dice)
    verdict = world.verdicts[offset]
    forged = {
        "status": "failed" if verdict.status != "failed" else "accepted",
        "reason": "retry_age",
        "sendId": "forged",
        "attempts": verdict.attempts + 1,
        "possibleDuplicate": not verdict.marked,
        "receivedAt": "2026-01-01T00:00:00Z",
        "completedAt": "2026-01-01T00:00:00Z",
        "dispatchedAt": "2026-01-01T00:00:00Z",
        "response": {"status": 299, "id": None, "message": None, "item": None},
    }
    name = dice.choice(sorted(forged))
    republish(world, offset, **{name: forged[name]})

    found = world.found()

    assert ("contradicts_outcome", TOPIC, 1, offset) in found
    assert {where[3] for where in found} == {offset}


@given(LIVES)
def test_whichever_outcome_counts_no_more_is_missed(dice: Random) -> None:
    world = Life(dice=dice).live()
    outcomes = [record for record in world.journal.records if _counts(record, "outcome")]
    assume(outcomes)
    record = dice.choice(outcomes)
    (item,) = orjson.loads(record.value or b"")["settled"]
    offset = item["offsets"][0]
    change(world, {"at": -1}, at=record.offset, kind="outcome")

    found = world.found()

    assert ("false_checkpoint", TOPIC, 1, offset) in found
    assert ("result_without_outcome", TOPIC, 1, offset) in found
    assert (("no_outcome", TOPIC, 1, offset) in found) == (offset < (world.committed or 0))


def life_with_a_mark(dice: Random) -> tuple[World, int]:
    """Return a life in which somebody may have been texted twice, and whose record that is: three in ten are such."""
    for _ in range(TRIES):
        world = Life(dice=dice).live()
        marked = [offset for offset, verdict in world.verdicts.items() if verdict.marked]
        if marked:
            return world, dice.choice(marked)
    raise AssertionError("no life has a mark")


@given(LIVES)
def test_whichever_mark_is_forgotten_is_noticed(dice: Random) -> None:
    world, offset = life_with_a_mark(dice)
    for record in world.journal.records:
        if _counts(record, "outcome"):
            fields = orjson.loads(record.value or b"")
            if fields["settled"][0]["offsets"][0] == offset:
                fields["settled"][0].pop("possible_duplicate")
                world.journal.change(record.offset, value=orjson.dumps(fields))
    republish(world, offset, possibleDuplicate=False)

    assert world.found() == {("unmarked_repeat", TOPIC, 1, offset)}


@given(LIVES)
def test_whichever_record_is_sent_after_its_outcome_is_noticed(dice: Random) -> None:
    world = Life(dice=dice).live()
    assume(world.verdicts)
    offset = dice.choice(sorted(world.verdicts))
    world.intent("again", 1, offset)

    assert world.found() == {("sent_after_outcome", TOPIC, 1, offset)}


@given(LIVES)
def test_a_takeover_that_forgets_what_was_out_is_noticed_at_its_checkpoint(dice: Random) -> None:
    life = Life(dice=dice)
    world = life.live()
    still_out = {offset for offset, attempts in world.open.items() if attempts}
    assume(still_out)
    world.claim()
    world.checkpoint(open=[])

    assert world.found() == {("false_checkpoint", TOPIC, 1, offset) for offset in still_out}


def _counts(record: Rec, kind: str) -> bool:
    fields = orjson.loads(record.value or b"")
    return bool(fields["kind"] == kind and fields["at"] == record.offset)


@given(LIVES)
def test_another_group_in_the_journal_is_noticed_whatever_it_writes(dice: Random) -> None:
    world = Life(dice=dice).live()
    offset = world.claim("somebody")
    world.checkpoint(group="somebody")

    found = world.found()

    assert {where[3] for where in found if where[0] == "foreign_group"} == {offset, offset + 1}

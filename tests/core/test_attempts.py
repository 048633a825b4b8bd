"""Open attempts: what the journal says may be out, from any checkpoint on the same as from the beginning."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.attempts import Attempts
from consumer.core.history import Fate, History
from consumer.core.journal import Checkpoint, Entry, Intent, Outcome, Returned, Settled, encode
from consumer.core.journal_decode import decode
from consumer.core.lane import MAX_CHECKPOINT_BYTES
from consumer.core.outcome import Reason, Status, Verdict
from consumer.core.terms import Instant, JournalOffset, Offset, SendId
from tests.core.makers import EPOCH

ACCEPTED = Verdict(status=Status.ACCEPTED, completed_at=Instant(0))


@dataclass
class Model:
    """Everything that was ever written, in its plainest form."""

    intents: dict[tuple[str, int], tuple[set[int], float]] = field(default_factory=dict)
    returned: dict[tuple[str, int], bool] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)

    def unsettled(self) -> set[int]:
        every = {offset for offsets, _ in self.intents.values() for offset in offsets}
        return every - self.settled

    def trials(self) -> dict[int, tuple[int, int]]:
        """Requests that were started or may have been, and those of unknown fate, of each record without outcome."""
        started: Counter[int] = Counter()
        lost: Counter[int] = Counter()
        for name, (offsets, _) in self.intents.items():
            for offset in offsets:
                if name not in self.returned:
                    lost[offset] += 1
                    started[offset] += 1
                elif self.returned[name]:
                    started[offset] += 1
        return {offset: (started[offset], lost[offset]) for offset in self.unsettled() if started[offset]}


@st.composite
def journals(draw: st.DrawFn) -> tuple[list[Entry], Model]:
    """A journal as owners write it: attempts again, returns, outcomes in parts, records that went on in another send."""
    model, entries = Model(), list[Entry]()
    sends: dict[str, set[int]] = {}
    for step in range(draw(st.integers(1, 30))):
        unclosed = [name for name in model.intents if name not in model.returned]
        match draw(st.integers(0, 3)):
            case 0:
                offsets = draw(st.sets(st.integers(0, 9), min_size=1, max_size=4)) - model.settled
                if offsets:
                    name = f"s{len(sends)}"
                    sends[name] = offsets
                    _intend(model, entries, name, 1, offsets, step)
            case 1 if sends:
                name = draw(st.sampled_from(sorted(sends)))
                left = sends[name] - model.settled
                attempt = 1 + sum(send == name for send, _ in model.intents)
                if left:
                    _intend(model, entries, name, attempt, left, step)
            case 2 if unclosed:
                name, attempt = draw(st.sampled_from(unclosed))
                started = draw(st.booleans())
                model.returned[name, attempt] = started
                entries.append(Returned(send_id=SendId(name), attempt=attempt, started=started))
            case 3 if sends:
                name = draw(st.sampled_from(sorted(sends)))
                left = sends[name] - model.settled
                if left:
                    done = draw(st.sets(st.sampled_from(sorted(left)), min_size=1))
                    model.settled |= done
                    entries.append(_outcome(name, sorted(done)))
            case _:
                pass
    return entries, model


def _intend(model: Model, entries: list[Entry], name: str, attempt: int, offsets: set[int], step: int) -> None:
    model.intents[name, attempt] = (set(offsets), float(step))
    entries.append(
        Intent(
            send_id=SendId(name),
            attempt=attempt,
            campaign_id=1,
            offsets=tuple(Offset(offset) for offset in sorted(offsets)),
            intended_at=Instant(float(step)),
        )
    )


def _outcome(name: str, offsets: list[int]) -> Outcome:
    settled = Settled(
        verdict=ACCEPTED,
        offsets=tuple(Offset(offset) for offset in offsets),
        received=tuple(Instant(0) for _ in offsets),
        fingerprints=b"",
    )
    return Outcome(send_id=SendId(name), settled=(settled,))


def applied(entries: list[Entry]) -> Attempts:
    attempts = Attempts()
    for entry in entries:
        attempts.apply(entry)
    return attempts


def counts(trials: dict[Offset, History], unsettled: set[int]) -> dict[int, tuple[int, int]]:
    return {offset: (each.attempts, each.lost) for offset, each in trials.items() if offset in unsettled}


def budgets(attempts: Attempts) -> dict[int, tuple[object, ...]]:
    """All that the next owner counts on."""
    return {
        offset: (one.attempts, one.counted, one.lost, one.answers_lost, one.doubt, one.first_tried_at)
        for offset, one in attempts.trials().items()
    }


def checkpoint(attempts: Attempts) -> Checkpoint:
    open_attempts, tried = attempts.snapshot()
    return Checkpoint(
        group="g",
        watermark=Offset(0),
        settled=(),
        open_attempts=open_attempts,
        tried=tried,
        unpublished=None,
        mark=None,
    )


@given(journals())
def test_attempts_are_counted_as_the_journal_says(written: tuple[list[Entry], Model]) -> None:
    entries, model = written
    assert counts(applied(entries).trials(), model.unsettled()) == model.trials()


@given(journals(), st.data())
def test_reading_from_any_checkpoint_says_the_same_as_reading_from_the_beginning(
    written: tuple[list[Entry], Model], data: st.DataObject
) -> None:
    entries, model = written
    at = data.draw(st.integers(0, len(entries)))
    snapshot = checkpoint(applied(entries[:at]))
    assert budgets(applied([snapshot, *entries[at:]])) == budgets(applied(entries))
    owner = applied(entries[:at])
    for entry in (snapshot, *entries[at:]):
        owner.apply(entry)
    assert budgets(owner) == budgets(applied(entries)), "the owner's own checkpoint changes what it knows"
    assert counts(owner.trials(), model.unsettled()) == model.trials()


@given(journals(), st.data())
def test_forgetting_what_is_done_forgets_nothing_else(written: tuple[list[Entry], Model], data: st.DataObject) -> None:
    entries, model = written
    unsettled = model.unsettled()
    watermark = data.draw(st.integers(0, min(unsettled, default=9)))
    attempts = applied(entries)
    attempts.prune(Offset(watermark), [Offset(offset) for offset in model.settled])
    assert counts(attempts.trials(), unsettled) == model.trials()
    assert all(offset in unsettled for offset in attempts.trials())
    open_attempts, tried = attempts.snapshot()
    assert all(set(one.offsets) <= unsettled for one in open_attempts)
    assert all(set(one.offsets) <= unsettled for one in tried)


def test_a_return_closes_its_own_attempt_and_no_other() -> None:
    model, entries = Model(), list[Entry]()
    _intend(model, entries, "s", 1, {5}, 1)
    _intend(model, entries, "s", 2, {5}, 2)
    entries.append(Returned(send_id=SendId("s"), attempt=2, started=True))
    assert budgets(applied(entries)) == {5: (2, 2, 1, 1, Reason.OWNER_LOST, Instant(1.0))}


def test_what_an_attempt_spent_of_the_budgets_is_told_to_the_next_owner_by_entries_and_by_checkpoints() -> None:
    """Excused, put off, failed, answered with an error, and lost with its owner: one of each."""
    model, entries = Model(), list[Entry]()
    for attempt, fate in enumerate((Fate.EXCUSED, Fate.PUT_OFF, Fate.FAILED), start=1):
        _intend(model, entries, "s", attempt, {5}, attempt)
        entries.append(Returned(send_id=SendId("s"), attempt=attempt, started=True, fate=fate))
    _intend(model, entries, "s", 4, {5}, 4)
    owner = applied(entries)
    owner.erred(SendId("s"), 4)
    snapshot = decode(JournalOffset(7), encode(checkpoint(owner), JournalOffset(7))).entry
    assert isinstance(snapshot, Checkpoint)
    expected = {5: (4, 2, 1, 0, Reason.SERVER_ERROR, Instant(2.0))}
    assert budgets(owner) == expected
    assert budgets(applied([snapshot])) == expected
    assert budgets(applied(entries)) == {5: (4, 2, 1, 1, Reason.OWNER_LOST, Instant(2.0))}, "nobody said so in time"


def test_a_checkpoint_has_room_for_all_that_a_full_buffer_has_tried_in_vain_one_by_one() -> None:
    """Else none is written for as long as the platform is away, and a take-over reads all that was tried meanwhile."""
    owner = Attempts()
    for number in range(100_000):
        send_id, offsets, at = SendId(f"{number:032x}"), (Offset(2 * number),), Instant(EPOCH + number / 1_000)
        owner.apply(Intent(send_id=send_id, attempt=1, campaign_id=1, offsets=offsets, intended_at=at))
        owner.apply(Returned(send_id=send_id, attempt=1, started=True, fate=Fate.FAILED))
    value = encode(checkpoint(owner), JournalOffset(7))
    assert len(value) < MAX_CHECKPOINT_BYTES
    snapshot = decode(JournalOffset(7), value).entry
    assert isinstance(snapshot, Checkpoint)
    before, after = owner.trials(), applied([snapshot]).trials()
    assert after.keys() == before.keys()
    for offset, history in after.items():
        assert (history.attempts, history.counted, history.lost) == (1, 1, 0)
        assert history.first_tried_at is not None
        assert 0 <= EPOCH + offset / 2_000 - history.first_tried_at < 1


def test_a_journal_that_does_not_say_what_was_spent_counts_all_that_was_started() -> None:
    value = b'{"at": 1, "kind": "returned", "send": "s", "attempt": 1, "started": true}'
    returned = decode(JournalOffset(1), value).entry
    model, entries = Model(), list[Entry]()
    _intend(model, entries, "s", 1, {5}, 1)
    assert isinstance(returned, Returned)
    assert budgets(applied([*entries, returned])) == {5: (1, 1, 0, 0, None, Instant(1.0))}


def test_a_request_that_never_began_is_no_attempt() -> None:
    model, entries = Model(), list[Entry]()
    _intend(model, entries, "s", 1, {5}, 1)
    entries.append(Returned(send_id=SendId("s"), attempt=1, started=False))
    assert applied(entries).trials() == {}

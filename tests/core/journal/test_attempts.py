"""Open attempts: what the journal says may be out, from any checkpoint on the same as from the beginning."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from consumer.core.history import Fate
from consumer.core.journal.entries import Checkpoint, Entry, Returned
from consumer.core.journal.entry_decode import decode
from consumer.core.outcome import Reason
from consumer.core.terms import Instant, JournalOffset, Offset, SendId
from tests.core.journal.attempted import (
    Happening,
    Model,
    TakenOver,
    Unknown,
    applied,
    budgets,
    checkpoint,
    counts,
    entries_of,
    happened,
    intend,
    journals,
    of_unsettled,
    read_back,
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


@given(happened(fates=(Fate.LOST,)), st.data())
def test_reading_from_a_checkpoint_made_among_lost_answers_says_the_same_as_reading_from_the_beginning(
    written: tuple[list[Happening], Model], data: st.DataObject
) -> None:
    """What its owner has heard beside the entries, a checkpoint tells by record: no more and no less than they say."""
    happenings, model = written
    at = data.draw(st.integers(0, len(happenings)))
    snapshot = read_back(checkpoint(applied(happenings[:at])))
    assert {(one.send_id, one.attempt) for one in snapshot.open_attempts}.isdisjoint(model_heard(happenings[:at]))
    left = entries_of(happenings[at:])
    said = of_unsettled(applied(entries_of(happenings)), model)
    assert of_unsettled(applied([snapshot, *left]), model) == said
    assert of_unsettled(applied(happenings), model) == said, "the owner itself"
    again = read_back(checkpoint(applied([snapshot, *left, TakenOver()])))
    assert again.open_attempts == ()
    assert of_unsettled(applied([again]), model) == said, "the next owner's first one"


def model_heard(happenings: list[Happening]) -> set[tuple[str, int]]:
    return {(each.send_id, each.attempt) for each in happenings if isinstance(each, Unknown)}


@given(happened())
def test_a_checkpoint_tells_lost_answers_from_errors(written: tuple[list[Happening], Model]) -> None:
    happenings, model = written
    snapshot = read_back(checkpoint(applied(happenings)))
    lost: Counter[int] = Counter()
    for name, (offsets, _) in model.intents.items():
        if name not in model.returned and model.unknown.get(name, Fate.LOST) is Fate.LOST:
            lost.update(offsets)
    after = applied([snapshot]).trials()
    assert counts(after, model.unsettled()) == model.trials()
    assert all(history.answers_lost == lost[offset] for offset, history in after.items() if offset in model.unsettled())


@given(journals(), st.data())
def test_forgetting_what_is_done_forgets_nothing_else(written: tuple[list[Entry], Model], data: st.DataObject) -> None:
    entries, model = written
    unsettled = model.unsettled()
    watermark = data.draw(st.integers(0, min(unsettled, default=9)))
    attempts = applied(entries)
    attempts.prune(Offset(watermark), {Offset(offset) for offset in model.settled})
    assert counts(attempts.trials(), unsettled) == model.trials()
    assert all(offset in unsettled for offset in attempts.trials())
    for told in (attempts.returnable(), *attempts.snapshot()):
        assert all(set(one.offsets) <= unsettled for one in told)


def test_a_return_closes_its_own_attempt_and_no_other() -> None:
    model, entries = Model(), list[Entry]()
    intend(model, entries, "s", 1, {5}, 1)
    intend(model, entries, "s", 2, {5}, 2)
    entries.append(Returned(send_id=SendId("s"), attempt=2, started=True))
    assert budgets(applied(entries)) == {5: (2, 2, 1, 1, Reason.OWNER_LOST, Instant(1.0))}


def test_what_an_attempt_spent_of_the_budgets_is_told_to_the_next_owner_by_entries_and_by_checkpoints() -> None:
    """Excused, put off, failed, answered with an error, and lost with its owner: one of each."""
    model, entries = Model(), list[Entry]()
    for attempt, fate in enumerate((Fate.EXCUSED, Fate.PUT_OFF, Fate.FAILED), start=1):
        intend(model, entries, "s", attempt, {5}, attempt)
        entries.append(Returned(send_id=SendId("s"), attempt=attempt, started=True, fate=fate))
    intend(model, entries, "s", 4, {5}, 4)
    owner = applied(entries)
    owner.unknown(SendId("s"), 4, Fate.ERRED)
    snapshot = read_back(checkpoint(owner))
    expected = {5: (4, 2, 1, 0, Reason.SERVER_ERROR, Instant(2.0))}
    assert budgets(owner) == expected
    assert budgets(applied([snapshot])) == expected
    assert budgets(applied(entries)) == {5: (4, 2, 1, 1, Reason.OWNER_LOST, Instant(2.0))}, "nobody said so in time"


def test_a_checkpoint_of_a_version_that_named_all_open_attempts_is_read() -> None:
    value = (
        b'{"at":7,"kind":"checkpoint","group":"g","watermark":0,"settled":[],"open":['
        b'{"send":"s","attempt":2,"at":5.0,"offsets":[3,1],"answered":true},'
        b'{"send":"t","attempt":1,"at":6.0,"offsets":[3]}],'
        b'"tried":[{"attempts":1,"counted":1,"first_at":2.0,"offsets":[3]}],"unpublished":null,"mark":null}'
    )
    snapshot = decode(JournalOffset(7), value).entry
    assert isinstance(snapshot, Checkpoint)
    assert budgets(applied([snapshot])) == {
        3: (3, 3, 2, 1, Reason.OWNER_LOST, Instant(2.0)),
        4: (1, 1, 1, 0, Reason.SERVER_ERROR, Instant(5.0)),
    }
    returned = Returned(send_id=SendId("t"), attempt=1, started=False)
    assert budgets(applied([snapshot, returned]))[3] == (2, 2, 1, 0, Reason.SERVER_ERROR, Instant(2.0))


def test_a_journal_that_does_not_say_what_was_spent_counts_all_that_was_started() -> None:
    value = b'{"at": 1, "kind": "returned", "send": "s", "attempt": 1, "started": true}'
    returned = decode(JournalOffset(1), value).entry
    model, entries = Model(), list[Entry]()
    intend(model, entries, "s", 1, {5}, 1)
    assert isinstance(returned, Returned)
    assert budgets(applied([*entries, returned])) == {5: (1, 1, 0, 0, None, Instant(1.0))}


def test_a_request_that_never_began_is_no_attempt() -> None:
    model, entries = Model(), list[Entry]()
    intend(model, entries, "s", 1, {5}, 1)
    entries.append(Returned(send_id=SendId("s"), attempt=1, started=False))
    assert applied(entries).trials() == {}

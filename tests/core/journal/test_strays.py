"""Whatever stands in a journal: reading it never fails, and what is no entry settles nothing."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.journal.attempts import Attempts
from consumer.core.journal.entries import BY_A_STRANGER, Accepted, Checkpoint, Entry, Stray, encode
from consumer.core.journal.entry_decode import MOST_SETTLED, decode
from consumer.core.terms import JournalOffset, Offset
from tests.core.journal.replaying import Values, last_checkpoint, reading
from tests.core.journal.test_entries import ENTRIES
from tests.core.makers import make_claim

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NEVER_IN_PLACE = st.binary(max_size=60) | JSON.filter(lambda value: not isinstance(value, dict)).map(orjson.dumps)
"""What a person's slip brings: bytes, texts, lists, nothing at all."""


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A true entry with something in it taken out, exchanged or moved, that still says it stands where it does."""
    fields = orjson.loads(encode(draw(ENTRIES), JournalOffset(HERE)))
    for _ in range(draw(st.integers(1, 3))):
        _mangle(draw, fields)
    return orjson.dumps(fields)


HERE = 12


def _mangle(draw: st.DrawFn, value: Any) -> None:
    while True:
        keys: Sequence[Any] = list(value) if isinstance(value, dict) else range(len(value))
        keys = [key for key in keys if key != "at" or value[key] != HERE]
        if not keys:
            return
        key = draw(st.sampled_from(keys))
        inner = value[key]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            value = inner
            continue
        if draw(st.booleans()):
            value[key] = draw(JSON)
        else:
            del value[key]
        return


def journal(*values: bytes, first: int = 0) -> Values:
    return [(JournalOffset(first + index), value) for index, value in enumerate(values)]


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_a_stray(value: bytes) -> None:
    found = decode(JournalOffset(HERE), value)
    assert isinstance(found.entry, Stray) or decode(found.offset, encode(found.entry, found.at)) == found


@given(mangled())
def test_a_mangled_entry_is_one_that_can_be_lived_with_or_a_stray_that_stops_its_partition(value: bytes) -> None:
    found = decode(JournalOffset(HERE), value)
    replay = reading(journal(value, first=HERE))
    if isinstance(found.entry, Stray):
        assert replay.unreadable == found, "it stands where it says: an owner has said something"
        assert found.displaces("me") == BY_A_STRANGER
        assert not found.counts
        return
    assert not isinstance(decode(found.offset, encode(found.entry, found.at)).entry, Stray)
    taken = replay.taken_over(Offset(0))
    attempts = Attempts()
    attempts.apply(found.entry)
    attempts.prune(Offset(0), taken.published)
    attempts.snapshot()


@given(st.lists(ENTRIES.filter(lambda entry: not isinstance(entry, Checkpoint)), max_size=5), st.data())
def test_strays_change_nothing_of_what_a_journal_says(said: list[Entry], data: st.DataObject) -> None:
    """The same journal twice: with slips of somebody in it, and with entries there that do not count."""
    slips = [data.draw(st.none() | NEVER_IN_PLACE) for _ in said]
    disturbed: list[bytes] = []
    alone: list[bytes] = []
    for entry, slip in zip(said, slips, strict=True):
        if slip is not None:
            disturbed.append(slip)
            alone.append(encode(make_claim(), JournalOffset(0)))
        disturbed.append(encode(entry, JournalOffset(len(disturbed))))
        alone.append(encode(entry, JournalOffset(len(alone))))

    with_strays = journal(*disturbed)

    assert replayed(with_strays) == replayed(journal(*alone))
    replay = reading(with_strays)
    assert replay.unreadable is None
    assert replay.cut is None
    word = max([index for index, entry in enumerate(said) if isinstance(entry, Accepted)], default=-1)
    assert len(replay.strays) == sum(slip is not None for slip in slips[word + 1 :]), "those after an operator's word"


def replayed(values: Values) -> tuple[object, ...]:
    taken = reading(values).taken_over(Offset(0))
    attempts = taken.attempts
    return taken.known, taken.published, taken.trials, taken.recalled, attempts.returnable(), attempts.snapshot()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\xfe",
        b"hello",
        b"null",
        b"[]",
        b"17",
        b'"claim"',
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"at":1}',
        b'{"at":1,"kind":"rumour"}',
        b'{"at":999999,"kind":"rumour"}',
        b'{"at":"12","kind":"intent"}',
        b'{"at":12.0,"kind":"intent"}',
        b'{"at":true,"kind":"intent"}',
        b'{"at":1,"kind":"outcome","send":null,"settled":[1]}',
        b'{"at":1,"kind":"outcome","send":null,"settled":[{"offsets":[1]}]}',
        b'{"at":1,"kind":"checkpoint"}',
    ],
)
def test_what_does_not_stand_where_it_says_is_void_and_is_not_quoted(value: bytes) -> None:
    found = decode(JournalOffset(HERE), value)
    assert isinstance(found.entry, Stray)
    assert "rumour" not in found.entry.why
    assert not found.counts
    assert found.displaces("me") is None
    replay = reading(journal(value, first=HERE))
    assert replay.unreadable is None
    assert replay.cut is None


@pytest.mark.parametrize(
    "value",
    [
        b'{"at":12,"kind":"segment"}',
        b'{"at":0,"kind":"claim","group":"g"}',
        b'{"at":12,"kind":"intent","send":"s","attempt":1,"campaign":1,"offsets":[-5],"intended_at":1}',
        b'{"at":12,"kind":"intent","send":"s","attempt":1,"campaign":1,"offsets":["5"],"intended_at":1}',
        b'{"at":12,"kind":"intent","send":"s","attempt":"1","campaign":1,"offsets":[5],"intended_at":1}',
        b'{"at":12,"kind":"intent","send":"s","attempt":1,"campaign":1,"offsets":[9223372036854775807,1],"intended_at":1}',
        (
            b'{"at":12,"kind":"outcome","send":null,"settled":[{"offsets":[1],"received":[[1,1000000000000]],'
            b'"fingerprints":"","status":"accepted","completed_at":1}]}'
        ),
        (
            b'{"at":12,"kind":"outcome","send":null,"settled":[{"offsets":[1],"received":[[1,1]],'
            b'"fingerprints":"AAAA","status":"accepted","completed_at":1}]}'
        ),
        (
            b'{"at":12,"kind":"outcome","send":null,"settled":[{"offsets":[1],"received":[[1,1]],'
            b'"fingerprints":"","status":"accepted","completed_at":1e300}]}'
        ),
        b'{"at":12,"kind":"checkpoint","group":"g","watermark":0,"settled":[0,%d],"open":[],"tried":[],'
        b'"unpublished":null,"mark":null}' % (MOST_SETTLED + 1),
    ],
)
def test_what_stands_where_it_says_and_cannot_be_read_is_told_apart(value: bytes) -> None:
    """Only who knew the journal's end could write it: what it says of records is not known, so nothing may start."""
    found = decode(JournalOffset(HERE), value)
    assert isinstance(found.entry, Stray)
    assert reading(journal(value, first=HERE)).unreadable == found
    assert found.displaces("me") == BY_A_STRANGER


def test_what_cannot_be_read_says_nothing_to_anybody_once_a_checkpoint_sums_it_up() -> None:
    old, slip = b'{"at":0,"kind":"rumour"}', b"hello"
    summed_up = Checkpoint(
        group="g", watermark=Offset(7), settled=(), open_attempts=(), tried=(), unpublished=None, mark=None
    )
    before = reading(journal(old, slip))
    assert before.unreadable == decode(JournalOffset(0), old)
    assert before.strays == [0, 1]
    values = journal(old, slip, encode(summed_up, JournalOffset(2)))
    assert last_checkpoint(values) is not None
    after = reading(values)
    assert after.unreadable is None
    assert after.strays == []


def test_a_record_that_says_it_stands_where_no_number_reaches_is_passed_over_before_a_checkpoint_and_behind_it() -> (
    None
):
    far_away = b'{"at":' + b"9" * 5_000 + b',"kind":"outcome"}'
    snapshot = Checkpoint(
        group="g", watermark=Offset(3), settled=(), open_attempts=(), tried=(), unpublished=None, mark=None
    )
    replay = reading(journal(far_away, encode(snapshot, JournalOffset(1)), far_away))
    assert replay.checkpoint == snapshot
    assert replay.unreadable is None
    assert replay.strays == [2]


@pytest.mark.parametrize(
    "offsets, completed_at", [([2**63], 5.0), ([-1], 5.0), ([2**70], 5.0), ([7, 2**63 - 1], 5.0), ([7], 1e300)]
)
def test_an_outcome_that_cannot_be_one_is_remembered_by_nobody(offsets: list[int], completed_at: float) -> None:
    """Of entries before a checkpoint only the IDs are looked at, and those no less closely than others are decoded."""
    prints = b64encode(bytes(16 * len(offsets))).decode()
    item = f'{{"offsets":{offsets},"fingerprints":"{prints}","completed_at":{completed_at}}}'
    odd = f'{{"at":0,"kind":"outcome","settled":[{item}]}}'.encode()
    snapshot = Checkpoint(
        group="g", watermark=Offset(3), settled=(), open_attempts=(), tried=(), unpublished=None, mark=None
    )
    recalled = reading(journal(odd, encode(snapshot, JournalOffset(1)))).taken_over(Offset(3)).recalled
    assert recalled.ids == {}

"""Whatever stands in a batch, each of its records comes out once: as it is, or as one that cannot be read."""

from collections.abc import Sequence
from random import Random
from struct import pack_into
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import UnreadableRecord
from consumer.edge.kafka.lenient_parser import LenientRecord
from consumer.edge.kafka.record_batches import CHUNK_RECORDS, DamagedError, FetchedBytes, Patience, Unpacked
from tests.support.batches import ABORT, CODECS, COMMIT, TRANSACTIONAL, Raw, batch, body, marker

HERE = TopicPartition("events", 3)
CHECKED_FROM = 17
"""Its checksum is of what follows; what stands before, a broker has written and goes by itself."""
LATIN = "X-Campaña".encode("latin-1")


class Time:
    """Seconds that a test passes."""

    now = 0.0


def patience(*, seconds: float = 0.0) -> Patience:
    return Patience(seconds=seconds, clock=lambda: Time.now)


def read(
    data: bytes,
    *,
    position: int = 0,
    aborted: Sequence[tuple[int, int]] | None = (),
    most: int | None = None,
    patient: Patience | None = None,
) -> tuple[list[Any], int]:
    """Take everything; return it with the position behind."""
    unpacked = Unpacked(HERE, data, position=position, aborted=aborted, patience=patient or patience())
    records: list[Any] = []
    while not unpacked.is_empty:
        taken = unpacked.take(most)
        assert most is None or len(taken) <= most
        records += taken
        assert unpacked.next_fetch_offset >= (records[-1].offset + 1 if records else position)
    return records, unpacked.next_fetch_offset


def offsets(records: Sequence[Any]) -> list[int]:
    return [record.offset for record in records]


# ------------------------------------------------------------------------------------------------ what can be read


@pytest.mark.parametrize("codec", range(len(CODECS)))
def test_a_header_whose_name_is_not_utf_8_is_read_as_latin_1_and_its_neighbours_as_ever(codec: int) -> None:
    records = [Raw(value=b"a"), Raw(value=b"b", key=b"k", headers=[(LATIN, b"\xff"), (b"h", None)]), Raw(value=b"c")]
    found, behind = read(batch(records, base=7, codec=codec))

    assert behind == 10
    assert [(record.offset, record.value) for record in found] == [(7, b"a"), (8, b"b"), (9, b"c")]
    assert list(found[1].headers) == [("X-Campaña", b"\xff"), ("h", None)]
    assert (found[1].key, found[1].timestamp) == (b"k", 1_790_000_000_000)


@pytest.mark.parametrize("most", [None, 1, 2, 3, 1_500])
def test_records_come_once_each_however_many_are_taken_at_a_time_and_from_wherever(most: int | None) -> None:
    data = b"".join(
        batch([Raw()] * size, base=base) for base, size in ((0, 3), (3, 2 * CHUNK_RECORDS), (2_003, 500), (2_503, 1))
    )
    for position in (0, 2, 3, 1_700, 2_503):
        found, behind = read(data, position=position, most=most)
        assert offsets(found) == list(range(position, 2_504))
        assert not any(isinstance(record, LenientRecord) for record in found), "the slow way is for what is odd"
        assert behind == 2_504


def test_what_was_aborted_and_what_ends_transactions_is_passed_over() -> None:
    data = b"".join(
        [
            batch([Raw(value=b"kept")], base=0),
            batch([Raw(value=b"no")] * 2, base=1, producer=5, attributes=TRANSACTIONAL),
            marker(ABORT, base=3, producer=5),
            batch([Raw(value=b"yes")], base=4, producer=5, attributes=TRANSACTIONAL),
            marker(COMMIT, base=5, producer=5),
        ]
    )
    found, behind = read(data, aborted=[(5, 1)])
    assert ([record.value for record in found], behind) == ([b"kept", b"yes"], 6)
    found, behind = read(data, aborted=None)
    assert (offsets(found), behind) == ([0, 1, 2, 4], 6)


def test_a_compacted_batch_keeps_its_gaps_and_is_passed_to_its_end() -> None:
    raw = batch([Raw(delta=1, value=b"x"), Raw(delta=4, value=b"y", headers=[(LATIN, b"")])], base=10, span=7)
    found, behind = read(raw)
    assert ([(record.offset, record.value) for record in found], behind) == ([(11, b"x"), (14, b"y")], 17)
    assert read(batch([], base=10, span=7)) == ([], 17)


def test_records_that_lie_about_their_offsets_stand_where_they_stand() -> None:
    found, behind = read(batch([Raw(delta=0), Raw(delta=9_999), Raw(delta=1)], base=5))
    assert (offsets(found), behind) == ([5, 6, 7], 8)


def test_a_batch_that_has_not_come_whole_is_left_for_the_next_answer() -> None:
    raw = batch([Raw()], base=0)
    found, behind = read(raw + batch([Raw()] * 9, base=1)[:-1])
    assert (offsets(found), behind) == ([0], 1)
    cut = FetchedBytes(raw[:-1])
    assert not cut.has_next()
    assert cut.size_in_bytes() == 0, "or the client would pass over one offset"


# ------------------------------------------------------------------------------------------------ what cannot be read


def test_a_record_whose_fields_do_not_fit_costs_no_other() -> None:
    good = body([Raw(value=b"a")])
    bad = bytes([len(good[1:]) * 2]) + b"\0\0\2" + b"\xfe" * (len(good) - 4)
    found, behind = read(batch([], count=3, span=3, inside=good + bad + body([Raw(value=b"c", delta=2)])))

    assert behind == 3
    assert [record.value for record in found] == [b"a", None, b"c"]
    assert isinstance(found[1], UnreadableRecord)


@pytest.mark.parametrize(
    "attributes, inside, why",
    [
        (7, b"whatever", "decompressed"),
        (1, b"no gzip", "decompressed"),
        (4, b"no zstd", "decompressed"),
        (0, b"\xff\xff\xff", "ends before it"),
        (0, b"", "ends before it"),
    ],
)
def test_a_batch_that_nobody_can_unpack_is_as_many_unreadable_records(attributes: int, inside: bytes, why: str) -> None:
    raw = batch([], base=4, count=3, span=3, inside=inside, attributes=attributes)
    found, behind = read(raw + batch([Raw()], base=7))

    assert (offsets(found), behind) == ([4, 5, 6, 7], 8)
    assert [type(record) is UnreadableRecord for record in found] == [True, True, True, False]
    assert why in found[0].why


def test_what_is_damaged_is_asked_for_again_for_a_while_and_nothing_before_it_is_lost() -> None:
    raw = bytearray(batch([Raw(value=b"0600000000")] * 3, base=1))
    raw[-5] ^= 1
    data = batch([Raw()], base=0) + bytes(raw) + batch([Raw()], base=4)
    Time.now, patient = 0.0, patience(seconds=30.0)
    for at in (0.0, 29.0):
        Time.now = at
        unpacked = Unpacked(HERE, data, position=0, aborted=(), patience=patient)
        assert offsets(unpacked.take()) == [0]
        assert unpacked.next_fetch_offset == 1
        with pytest.raises(DamagedError, match=r"events:3 is damaged at offset 1: a batch's checksum is wrong"):
            unpacked.take()
    Time.now = 30.0
    found, behind = read(data, position=1, patient=patient)
    assert (offsets(found), behind) == ([1, 2, 3, 4], 5)
    assert [type(record) is UnreadableRecord for record in found] == [True, True, True, False]


def test_of_a_batch_whose_head_is_damaged_one_offset_is_given_up_at_a_time() -> None:
    raw = bytearray(batch([Raw()] * 3, base=1))
    pack_into(">i", raw, 8, 3)  # its length
    found, behind = read(bytes(raw), position=1)
    assert (offsets(found), behind) == ([1], 2)
    assert isinstance(found[0], UnreadableRecord)


# ------------------------------------------------------------------------------------------------ whatever it is

NAMES = st.one_of(st.binary(max_size=12), st.sampled_from([b"traceparent", LATIN, b"", b"\xff\xfe", b"ce_id"]))
RECORDS = st.builds(
    Raw,
    value=st.one_of(st.none(), st.binary(max_size=40)),
    key=st.one_of(st.none(), st.binary(max_size=10)),
    headers=st.lists(st.tuples(NAMES, st.one_of(st.none(), st.binary(max_size=8))), max_size=5),
    timestamp_delta=st.integers(-(2**40), 2**40),
)


@given(
    batches=st.lists(
        st.tuples(st.lists(RECORDS, min_size=1, max_size=5), st.integers(0, len(CODECS) - 1)), min_size=1, max_size=4
    ),
    most=st.one_of(st.none(), st.integers(1, 4)),
)
def test_every_record_of_every_producer_comes_out_as_it_was_put_in(
    batches: list[tuple[list[Raw], int]], most: int | None
) -> None:
    data, base, written = b"", 0, []
    for records, codec in batches:
        data += batch(records, base=base, codec=codec)
        written += records
        base += len(records)
    found, behind = read(data, most=most)

    assert behind == base
    assert offsets(found) == list(range(base))
    assert [(one.key, one.value) for one in found] == [(one.key, one.value) for one in written]
    for one, record in zip(found, written, strict=True):
        assert [content for _, content in one.headers] == [content for _, content in record.headers]
        assert all(name.encode() for name, _ in one.headers if name)


@given(st.integers(0, 2**32))
def test_whatever_producers_and_disks_make_of_it_every_offset_comes_out_once_and_in_order(seed: int) -> None:
    dice = Random(seed)
    whole, base = b"", 0
    for _ in range(dice.randint(1, 3)):
        records = [Raw(value=dice.randbytes(dice.randint(0, 20)), headers=[(LATIN, b"x")]) for _ in range(3)]
        codec = dice.randrange(len(CODECS))
        inside = bytearray(CODECS[codec](body(records)))
        for _ in range(dice.randint(0, 4)):  # its checksum is right: a producer wrote this
            inside[dice.randrange(len(inside))] = dice.randrange(256)
        raw = bytearray(batch(records, base=base, codec=codec, inside=bytes(inside)))
        if dice.random() < 0.5:  # a disk did this
            raw[dice.randrange(CHECKED_FROM, len(raw))] ^= 1 << dice.randrange(8)
        whole += raw
        base += 3
    seen, behind = [], 0
    for _ in range(base):
        found, behind = read(whole, position=behind, most=dice.choice([None, 1, 2]))
        seen += offsets(found)
        if behind >= base:
            break
    assert seen[:base] == list(range(base))

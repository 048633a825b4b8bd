"""A plan's document: what goes in comes out, and what was changed by hand is refused."""

from dataclasses import dataclass

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.replay.coding import BadCodingError, Coding, PlannedPartition, PlannedRecord, record_digest
from consumer.replay.document import (
    VERSION,
    CampaignCounts,
    Cost,
    Counts,
    Ends,
    NotAPlanError,
    Plan,
    Selection,
    digest_of,
    document_of,
    plan_of,
    resend_id_of,
)

OFFSETS = st.integers(min_value=0, max_value=2**62)
DIGESTS = st.integers(min_value=0, max_value=2**32 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """A record, as far as a resend repeats it."""

    key: bytes | None = b"customer-7"
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes | None], ...] = ()


@st.composite
def planned(draw: st.DrawFn) -> list[PlannedRecord]:
    offsets = sorted(draw(st.sets(st.integers(0, 300) | OFFSETS, min_size=1, max_size=40)))
    return [PlannedRecord(offset, draw(DIGESTS), draw(st.booleans())) for offset in offsets]


def coded(records: list[PlannedRecord], *, topic: str = "contact-events", partition: int = 0) -> PlannedPartition:
    coding = Coding(topic, partition)
    for record in records:
        coding.add(record)
    done = coding.done()
    assert done is not None
    return done


def plan(
    *partitions: PlannedPartition, cluster_id: str = "cluster", extend: float | None = None, after: tuple[str, ...] = ()
) -> Plan:
    """A sealed plan of these records."""
    digest = digest_of(partitions, cluster_id=cluster_id, extend_expiry_seconds=extend, after=after)
    count = sum(one.count for one in partitions)
    return Plan(
        version=VERSION,
        digest=digest,
        resend_id=resend_id_of(digest),
        cluster_id=cluster_id,
        group="campaign-consumer",
        made_at="2026-11-24T15:40:19Z",
        selection=Selection(since="-2h", statuses=("failed",), extend_expiry_seconds=extend),
        counts=Counts(selected=count, would_send=count),
        campaigns=(CampaignCounts(campaign_id=421, selected=count, would_send=count),),
        warnings=(),
        cost=Cost(rate=None, publishing_seconds=None, requests=1, sending_seconds=None),
        after=after,
        events=(Ends(topic="contact-events", ends=(7, 9)),),
        results=Ends(topic="campaign-send-results", ends=(5,)),
        records=partitions,
    )


@given(planned())
def test_what_is_coded_is_read_again_record_by_record(records: list[PlannedRecord]) -> None:
    one = coded(records)

    assert list(one.records()) == records
    assert (one.first, one.last, one.count) == (records[0].offset, records[-1].offset, len(records))


def test_a_partition_of_which_nothing_is_sent_does_not_stand_in_the_plan() -> None:
    assert Coding("contact-events", 0).done() is None


@given(planned())
def test_a_plan_is_read_as_it_was_written(records: list[PlannedRecord]) -> None:
    made = plan(coded(records), coded(records, partition=3), extend=60.0, after=("replay-0",))

    assert plan_of(document_of(made)) == made


def test_a_document_names_its_members_as_the_contract_does() -> None:
    document = orjson.loads(document_of(plan(coded([PlannedRecord(4, 1, extended=False)]))))

    assert {"version", "digest", "resendId", "madeAt", "selection", "counts", "campaigns", "warnings"} < set(document)
    assert list(document["counts"]) == [
        *("selected", "alreadyAccepted", "inDoubt", "unsettled", "expired", "repeated", "invalid", "excluded"),
        *("wouldSend", "people", "secondTexts"),
    ]
    assert document["selection"]["from"] == "-2h"
    assert document["resendId"] == "replay-" + document["digest"][:32]


RECORDS = [PlannedRecord(4, 11, extended=False), PlannedRecord(9, 12, extended=False)]


def test_whatever_is_changed_in_what_will_be_sent_gives_another_digest() -> None:
    base = plan(coded(RECORDS))
    others = [
        plan(coded([RECORDS[0]])),
        plan(coded([RECORDS[0], PlannedRecord(8, 12, extended=False)])),
        plan(coded([RECORDS[0], PlannedRecord(9, 13, extended=False)])),
        plan(coded([RECORDS[0], PlannedRecord(9, 12, extended=True)])),
        plan(coded(RECORDS, partition=1)),
        plan(coded(RECORDS, topic="other-events")),
        plan(coded(RECORDS), cluster_id="another cluster"),
        plan(coded(RECORDS), extend=60.0),
        plan(coded(RECORDS), after=("replay-0",)),
    ]

    assert len({base.digest, *(one.digest for one in others)}) == 1 + len(others)
    assert plan(coded(RECORDS)).resend_id == base.resend_id


@pytest.mark.parametrize(
    "change",
    [
        {"clusterId": "another"},
        {"after": ["replay-0"]},
        {"resendId": "replay-1"},
        {"counts": {"wouldSend": 3}},
        {"records": []},
        {"digest": "0" * 64},
        {"selection": {"extendExpirySeconds": 5.0}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_plan_that_was_changed_by_hand_is_refused(change: dict[str, object]) -> None:
    document = orjson.loads(document_of(plan(coded(RECORDS))))

    with pytest.raises(NotAPlanError, match="not as it was made"):
        plan_of(orjson.dumps(document | change))


@pytest.mark.parametrize(
    "change",
    [
        {"coded": "no base64"},
        {"coded": "bm90IHpsaWI="},
        {"count": 1},
        {"count": 3},
        {"count": 2**40},
        {"last": 10},
        {"topic": 7},
    ],
    ids=str,
)
def test_records_that_cannot_be_read_are_refused_in_one_line(change: dict[str, object]) -> None:
    document = orjson.loads(document_of(plan(coded(RECORDS))))
    document["records"][0] |= change

    with pytest.raises(NotAPlanError) as refused:
        plan_of(orjson.dumps(document))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "document, why",
    [
        (b"", "not JSON"),
        (b"[]", "not a plan of"),
        (b'{"version": 1}', "not a plan of"),
        (b'{"version": 2, "digest": ""}', "a plan of version 2"),
        (b'{"version": 1, "digest": ""}', "not a whole plan"),
    ],
)
def test_what_is_no_plan_is_refused_with_the_reason(document: bytes, why: str) -> None:
    with pytest.raises(NotAPlanError, match=why):
        plan_of(document)


def test_a_record_is_told_from_what_differs_in_key_value_or_headers() -> None:
    records = [
        Stood(),
        Stood(key=None),
        Stood(key=b""),
        Stood(value=None),
        Stood(value=b""),
        Stood(key=None, value=None),
        Stood(key=b"{}", value=b"customer-7"),
        Stood(headers=(("trace", b"1"),)),
        Stood(headers=(("trace", None),)),
        Stood(headers=(("trace", b""),)),
        Stood(headers=(("1", b"trace"),)),
    ]

    assert len({record_digest(record) for record in records}) == len(records)
    assert record_digest(Stood()) == record_digest(Stood())


def test_records_out_of_order_are_never_coded() -> None:
    coding = Coding("contact-events", 0)
    coding.add(RECORDS[1])

    with pytest.raises(AssertionError):
        coding.add(RECORDS[0])


def test_a_coding_that_goes_on_behind_its_last_record_is_refused() -> None:
    one = coded(RECORDS)

    with pytest.raises(BadCodingError, match="not as many"):
        list(PlannedPartition(**{**orjson.loads(orjson.dumps(to_fields(one))), "last": 4}).records())


def to_fields(one: PlannedPartition) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}

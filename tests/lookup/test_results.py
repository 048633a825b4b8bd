"""Which results are picked, each once, and what people are shown of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.outcome import Reason, Status
from consumer.lookup.results import (
    SEGMENT_OFFSETS,
    PublishedResult,
    ResultFilter,
    SeenRecords,
    SourceRecord,
    WantedResults,
)
from consumer.lookup.table import COLUMNS, ResultLines, shown
from tests.lookup.published import PHONE, published
from tests.replay.logs import Rec
from tests.support.records import Written

RESULTS = [
    published(1, event_id="e-1"),
    published(2, event_id="e-2", status=Status.REJECTED, reason=Reason.CONTACT_REFUSED),
    published(3, event_id="e-3", status=Status.REJECTED, reason=Reason.CAMPAIGN_REFUSED, campaign=7),
]


def picked(wanted: WantedResults, *written: Written) -> list[PublishedResult]:
    results = ResultFilter(wanted)
    records = (Rec(offset=offset, timestamp=0, key=one.key, value=one.value) for offset, one in enumerate(written))
    return [kept for record in records if (kept := results.keep(record)) is not None]


@pytest.mark.parametrize(
    "wanted, events",
    [
        (WantedResults(), ["e-1", "e-2", "e-3"]),
        (WantedResults(events=["e-2"]), ["e-2"]),
        (WantedResults(references=["e-3"]), ["e-3"]),
        (WantedResults(campaigns=[421]), ["e-1", "e-2"]),
        (WantedResults(statuses=["rejected"]), ["e-2", "e-3"]),
        (WantedResults(reasons=["campaign_refused", "held"]), ["e-3"]),
        (WantedResults(campaigns=[421], statuses=["rejected"]), ["e-2"]),
        (WantedResults(events=["e-1"], campaigns=[7]), []),
    ],
)
def test_a_result_has_to_meet_each_kind_of_criteria(wanted: WantedResults, events: list[str]) -> None:
    assert [one.result.event_id for one in picked(wanted, *RESULTS)] == events


def test_a_result_that_is_published_again_is_picked_once() -> None:
    assert len(picked(WantedResults(), *RESULTS, *RESULTS)) == len(RESULTS)


def test_what_is_no_result_is_counted_and_left_out() -> None:
    results = ResultFilter(WantedResults())
    for value in (None, b"", b"no JSON", b"{}", b"[]", b'{"resultId": 3}', b"\xff"):
        assert results.keep(Rec(offset=0, timestamp=0, value=value)) is None
    assert results.strange == 7


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3 * SEGMENT_OFFSETS))))
def test_a_record_is_new_once(places: list[tuple[int, int]]) -> None:
    seen, known = SeenRecords(), set[tuple[int, int]]()
    for place in places:
        assert seen.is_new(SourceRecord("events", *place)) == (place not in known)
        known.add(place)


def test_the_lines_of_results_stand_under_their_columns_and_name_key_reference_and_record() -> None:
    found = picked(WantedResults(), *RESULTS)
    lines = ResultLines()
    rows = list(lines.lines(found))
    head = lines.head()
    assert [len(cell) for cell in head] == [len(cell) for cell in rows[0]] == [len(cell) for cell in rows[2]]
    cells = dict(zip(COLUMNS, (cell.strip() for cell in rows[1]), strict=True))
    assert cells == {
        "COMPLETED": "2026-11-24T15:40:00.000Z",
        "STATUS": "rejected",
        "REASON": "contact_refused",
        "CAMPAIGN": "421",
        "EVENT": "e-2",
        "REFERENCE": "e-2",
        "KEY": "cust-1",
        "RECORD": "contact-events:0:2",
        "WORDS": "-",
    }


def test_neither_a_phone_nor_a_control_character_is_shown() -> None:
    refused = published(1, status=Status.REJECTED, message="disabled\x1b[2J", key=PHONE.encode())
    [row] = ResultLines().lines(picked(WantedResults(), refused, published(1, key=b"\xff\n")))
    assert row[-1] == "disabled\\x1b[2J"
    assert row[-3] == "***"
    assert shown("\u202eabc\n") == "\\u202eabc\\n"
    assert shown("") == shown(None) == "-"

"""The demo's arithmetic: it holds when all is well, and it catches every way in which something can go missing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.demo.arithmetic import (
    Account,
    Fault,
    FaultKind,
    RecordPlace,
    SeenResult,
    acceptance_delay,
    settle_accounts,
)


def result(offset: int, status: str = "accepted", *, attempts: int = 1, marked: str = "") -> SeenResult:
    """Make the result of the record at 0:`offset`, whose external reference is `order-<offset>`."""
    return SeenResult(
        result_id=f"id-{offset}",
        place=RecordPlace(0, offset),
        status=status,
        reason="schema" if status == "invalid" else None,
        external_reference=None if status == "invalid" else f"order-{offset}",
        attempts=attempts,
        possible_duplicate=bool(marked),
        occurred_at=None if status == "invalid" else 100.0,
        completed_at=100.0 + offset,
        fingerprint=f"{offset} {status}".encode(),
    )


def account(
    results: list[SeenResult], texts: dict[str, int], *, records: int, invalid: frozenset[int] = frozenset()
) -> Account:
    produced = {RecordPlace(0, offset): "schema" if offset in invalid else None for offset in range(records)}
    return settle_accounts(produced=produced, results=results, texts=texts)


def test_everything_adds_up_when_every_record_was_texted_once() -> None:
    books = account([result(0), result(1)], {"order-0": 1, "order-1": 1}, records=2)
    assert books.holds
    assert (books.records, books.results, books.texted, books.accepted, books.repeats) == (2, 2, 2, 2, 0)


def test_a_lost_result_is_caught() -> None:
    books = account([result(0)], {"order-0": 1, "order-1": 1}, records=2)
    assert Fault(FaultKind.NO_RESULT, "0:1") in books.faults


def test_a_lost_text_is_caught() -> None:
    books = account([result(0), result(1)], {"order-0": 1}, records=2)
    assert books.faults == [Fault(FaultKind.LOST_TEXT, "order-1")]


def test_an_unmarked_double_is_caught() -> None:
    books = account([result(0), result(1)], {"order-0": 2, "order-1": 1}, records=2)
    assert books.faults == [Fault(FaultKind.UNMARKED_REPEAT, "order-0")]


def test_a_double_is_unmarked_however_many_attempts_its_result_admits() -> None:
    books = account([result(0, attempts=3)], {"order-0": 2}, records=1)
    assert books.faults == [Fault(FaultKind.UNMARKED_REPEAT, "order-0")]


def test_a_lost_text_is_caught_although_a_double_makes_the_totals_agree() -> None:
    books = account([result(0), result(1, attempts=2, marked="yes")], {"order-1": 2}, records=2)
    assert books.texted == books.accepted
    assert books.faults == [Fault(FaultKind.LOST_TEXT, "order-0")]


def test_a_marked_repeat_adds_up() -> None:
    books = account([result(0, attempts=2, marked="yes")], {"order-0": 2}, records=1)
    assert books.holds
    assert (books.texted, books.accepted, books.repeats, books.marked) == (2, 1, 1, 1)


def test_a_mark_without_a_second_text_adds_up_because_it_says_only_that_there_may_be_one() -> None:
    books = account([result(0, attempts=2, marked="yes")], {"order-0": 1}, records=1)
    assert books.holds
    assert (books.repeats, books.marked) == (0, 1)


def test_a_mark_explains_no_more_texts_than_there_were_attempts() -> None:
    books = account([result(0, attempts=2, marked="yes")], {"order-0": 3}, records=1)
    assert books.faults == [Fault(FaultKind.UNMARKED_REPEAT, "order-0")]


@pytest.mark.parametrize("status", ["rejected", "failed", "expired", "duplicate", "cancelled", "superseded"])
def test_a_text_is_caught_where_the_result_says_there_was_none(status: str) -> None:
    books = account([result(0, status)], {"order-0": 1}, records=1)
    assert books.faults == [Fault(FaultKind.UNEXPECTED_TEXT, "order-0")]


@pytest.mark.parametrize("texted", [0, 1])
def test_a_result_in_doubt_adds_up_whether_or_not_the_text_went_out(texted: int) -> None:
    books = account([result(0, "in_doubt")], {"order-0": texted}, records=1)
    assert books.holds
    assert books.in_doubt_texted == texted


def test_a_text_to_somebody_no_result_knows_is_caught() -> None:
    books = account([result(0)], {"order-0": 1, "order-77": 1}, records=1)
    assert books.faults == [Fault(FaultKind.UNEXPECTED_TEXT, "order-77")]


def test_a_duplicate_adds_up_beside_the_event_it_repeats() -> None:
    repeat = replace(result(1, "duplicate", attempts=0), external_reference="order-0")
    assert account([result(0), repeat], {"order-0": 1}, records=2).holds


def test_a_duplicate_that_was_texted_is_caught() -> None:
    repeat = replace(result(1, "duplicate", attempts=0), external_reference="order-0")
    books = account([result(0), repeat], {"order-0": 2}, records=2)
    assert books.faults == [Fault(FaultKind.UNMARKED_REPEAT, "order-0")]


def test_a_result_read_twice_counts_once() -> None:
    books = account([result(0), result(0)], {"order-0": 1}, records=1)
    assert books.holds
    assert (books.results, books.results_published_again) == (1, 1)


def test_a_result_that_comes_again_changed_is_caught() -> None:
    changed = replace(result(0), fingerprint=b"another")
    books = account([result(0), changed], {"order-0": 1}, records=1)
    assert books.faults == [Fault(FaultKind.CHANGED_RESULT, "0:0")]


def test_a_record_with_two_results_is_caught() -> None:
    other = replace(result(0), result_id="id-other", external_reference=None, status="expired")
    books = account([result(0), other], {"order-0": 1}, records=1)
    assert books.faults == [Fault(FaultKind.TWO_RESULTS, "0:0")]


def test_a_result_for_a_record_that_was_never_published_is_caught() -> None:
    books = account([result(0), result(1)], {"order-0": 1, "order-1": 1}, records=1)
    assert books.faults == [Fault(FaultKind.NO_RECORD, "0:1")]


def test_an_invalid_record_reported_with_its_reason_adds_up() -> None:
    assert account([result(0, "invalid", attempts=0)], {}, records=1, invalid=frozenset({0})).holds


def test_an_invalid_record_that_was_sent_is_caught() -> None:
    books = account([result(0)], {"order-0": 1}, records=1, invalid=frozenset({0}))
    assert books.faults == [Fault(FaultKind.MISJUDGED, "0:0")]


def test_a_valid_event_reported_as_invalid_is_caught() -> None:
    books = account([result(0, "invalid", attempts=0)], {}, records=1)
    assert books.faults == [Fault(FaultKind.MISJUDGED, "0:0")]


def test_the_99th_percentile_is_a_delay_that_occurred() -> None:
    results = [result(offset) for offset in range(200)]
    delay = acceptance_delay(results, frozenset(RecordPlace(0, offset) for offset in range(200)))
    assert (delay.count, delay.median_seconds, delay.p99_seconds) == (200, 99.0, 197.0)


def test_no_delay_is_made_up_where_nothing_was_accepted() -> None:
    delay = acceptance_delay([result(3)], frozenset())
    assert (delay.count, delay.median_seconds, delay.p99_seconds) == (0, None, None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["accepted", "rejected", "in_doubt", "invalid"]), st.integers(1, 3), st.integers(0, 2)
        )
    )
)
def test_texts_are_accepted_results_and_repeats_and_doubts_or_something_is_said(
    story: list[tuple[str, int, int]],
) -> None:
    results = [
        result(offset, status, attempts=attempts, marked="yes" if attempts > 1 else "")
        for offset, (status, attempts, _) in enumerate(story)
    ]
    texts = {f"order-{offset}": texted for offset, (_, _, texted) in enumerate(story)}
    invalid = frozenset(offset for offset, (status, _, _) in enumerate(story) if status == "invalid")
    books = account(results, texts, records=len(story), invalid=invalid)
    assert not books.holds or books.texted == books.accepted + books.repeats + books.in_doubt_texted

"""Which rows of a plan are published: known from the topic alone, whatever runs there were, and what each left out."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consumer.replay.coding import Coding, PlannedRecord, record_fingerprint
from consumer.replay.rows import Rows, RowState, original_headers, repeated_fingerprint, resend_of

HEADERS = st.lists(
    st.tuples(st.sampled_from(["h", "resend-id", "resend-reason", "traceparent"]), st.none() | st.binary(max_size=2)),
    max_size=4,
)


def rows_of(fingerprints: list[int]) -> Rows:
    coding = Coding("events", 0)
    for offset in range(len(fingerprints)):
        coding.add(PlannedRecord(offset, 0, False))  # noqa: FBT003 - a record of a plan, by position
    planned = coding.done()
    assert planned is not None
    rows = Rows(planned)
    for row, fingerprint in enumerate(fingerprints):
        rows.fingerprints[row] = fingerprint
    return rows


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.data())
def test_whatever_runs_left_out_each_published_record_counts_for_one_row_like_it(
    fingerprints: list[int], data: st.DataObject
) -> None:
    """Records may be alike, and a later run may publish what an earlier one left out: each run goes in order."""
    rows = rows_of(fingerprints)
    left = list(range(len(fingerprints)))
    published: list[int] = []
    while data.draw(st.booleans()) and left:
        chosen = sorted(data.draw(st.sets(st.sampled_from(left))))
        published += [fingerprints[row] for row in chosen]
        left = [row for row in left if row not in chosen]
    assert all(rows.stands(fingerprint) for fingerprint in published)
    found = [fingerprints[row] for row in range(len(fingerprints)) if rows.states[row] == RowState.STANDS]
    assert sorted(found) == sorted(published)


@given(st.sets(st.integers(1, 10**6), min_size=1, max_size=20).map(sorted), st.data())
def test_records_that_differ_are_known_one_by_one(fingerprints: list[int], data: st.DataObject) -> None:
    rows = rows_of(fingerprints)
    chosen = data.draw(st.lists(st.sampled_from(range(len(fingerprints))), unique=True))
    assert all(rows.stands(fingerprints[row]) for row in chosen)
    assert [row for row, state in enumerate(rows.states) if state == RowState.STANDS] == sorted(chosen)
    assert not any(rows.stands(fingerprints[row]) for row in chosen)  # no row is left for another one like it
    assert not rows.stands(0)


def test_events_are_left_out_but_for_those_that_are_published() -> None:
    rows = rows_of([1, 2, 3])
    for row, event in enumerate([7, 7, 8]):
        rows.events[row] = event
    assert rows.stands(1)
    assert rows.count_of(frozenset({7})) == 1
    rows.leave_out(frozenset({7}))
    assert list(rows.states) == [RowState.STANDS, RowState.LEFT_OUT, RowState.TO_PUBLISH]
    assert (rows.stands(2), list(rows.states)) == (True, [RowState.STANDS, RowState.STANDS, RowState.TO_PUBLISH])


@given(st.none() | st.binary(max_size=3), st.none() | st.binary(max_size=3), HEADERS, st.binary(max_size=3))
def test_a_resent_record_is_known_as_its_original_whatever_headers_that_had(
    key: bytes | None, value: bytes | None, headers: list[Any], resend_id: bytes
) -> None:
    ours = [("resend-id", resend_id), ("resend-reason", b"r"), ("resend-operator", b"o"), ("resend-expires-at", b"t")]
    assert original_headers([*headers, *ours]) == headers
    assert repeated_fingerprint(key, value, [*headers, *ours]) == record_fingerprint(key, value, headers)
    assert resend_of([*headers, *ours]) == resend_id


def test_what_this_run_has_published_is_found_again_in_its_order_without_a_search() -> None:
    """After trouble with the brokers all of it is read: a look at every row for each would take hours."""
    rows = rows_of(list(range(1, 100_001)))
    rows.states[:50_000] = bytes([RowState.PUBLISHED]) * 50_000
    assert all(rows.stands(fingerprint) for fingerprint in range(1, 50_001))
    assert rows.count(RowState.STANDS) == 50_000
    assert rows.count(RowState.TO_PUBLISH, RowState.PUBLISHED) == 50_000

"""Durations and sizes read as people write them, and are spelled so that they read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.durations import (
    DURATION_HINT,
    parse_duration,
    parse_optional_duration,
    parse_size,
    spell_duration,
    spell_size,
)


@pytest.mark.parametrize(
    "written, seconds",
    [
        ("250ms", 0.25),
        ("9ms", 0.009),
        ("2s", 2.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        (" 2 s ", 2.0),
        ("0", 0.0),
        ("0.75", 0.75),
        (3, 3.0),
        (0.1, 0.1),
    ],
)
def test_a_duration_is_seconds_or_a_number_with_its_unit(written: object, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    ["", "s", "-1s", "1d", "1 m 2 s", "1e3", "٣s", "nan", "inf", True, None, [], -1, float("nan"), float("inf")],
)
def test_what_is_no_duration_is_refused_with_examples_and_without_repeating_it(written: object) -> None:
    with pytest.raises(ValueError, match='must be a duration: seconds, or for example "250ms", "2s", "5m", "1h"'):
        parse_duration(written)


def test_a_duration_that_may_be_absent_can_be_taken_back() -> None:
    assert parse_optional_duration("none") is None
    assert parse_optional_duration("5m") == 300.0


@pytest.mark.parametrize(
    "written, size_bytes",
    [("1 MiB", 1024**2), ("512KiB", 512 * 1024), ("1.5 kib", 1536), ("2 MB", 2_000_000), ("77", 77), (77, 77)],
)
def test_a_size_is_bytes_or_a_number_with_its_unit(written: object, size_bytes: int) -> None:
    assert parse_size(written) == size_bytes


@pytest.mark.parametrize("written", ["", "MiB", "1 MiBs", "0.3 B", "-1", True, 1.5, None])
def test_what_is_no_whole_number_of_bytes_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match='must be a size: bytes, or for example "512 KiB", "1 MiB"'):
        parse_size(written)


@given(st.floats(min_value=0, max_value=1e9))
def test_a_spelled_duration_reads_back_as_the_same_number(seconds: float) -> None:
    assert parse_duration(spell_duration(seconds)) == seconds


@given(st.integers(min_value=0, max_value=2**50))
def test_a_spelled_size_reads_back_as_the_same_number(size_bytes: int) -> None:
    assert parse_size(spell_size(size_bytes)) == size_bytes


@given(st.text())
def test_any_text_is_a_duration_or_a_mistake_people_can_act_on(written: str) -> None:
    try:
        seconds = parse_duration(written)
    except ValueError as mistake:
        seconds, said = 0.0, str(mistake)
    else:
        said = DURATION_HINT
    assert seconds >= 0
    assert said == DURATION_HINT

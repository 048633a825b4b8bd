"""What of the platform's words never gets through: phone numbers, in whatever way they are written down."""

import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.platform.answer_body import read_refused
from consumer.core.platform.masking import MAX_WORDS_BYTES, masked


@pytest.mark.parametrize(
    "said,told",
    [
        ("contact 123456 is disabled", "contact 123456 is disabled"),
        ("contact 1234567 is disabled", "contact *** is disabled"),
        ("+34 600 111 222", "+***"),
        ("(+34) 600-11.12 (22)", "(+***)"),
        ("600\u2009111\u2011222", "***"),
        ("\u202a600111222\u202c", "\u202a***\u202c"),
        ("٦٠٠١١١٢٢٢", "***"),
        ("600/111/222 and 600111223", "*** and ***"),
        ("a1b2c3d4e5f6g7", "a1b2c3d4e5f6g7"),
        ("order A-99812 of 500", "order A-99812 of 500"),
    ],
)
def test_phones_are_masked_in_what_the_platform_says(said: str, told: str) -> None:
    assert masked(said) == told
    assert read_refused(orjson.dumps({"message": said}), 400).message == told


SEPARATORS = " \t\n\u00a0.-\u2010\u2011\u2012\u2013\u2014\u2212()+/\u200b\u202a\u202c"
digits = st.sampled_from([chr(code) for code in range(0x110000) if chr(code).isdigit()]) | st.sampled_from("0123456789")
phones = st.lists(st.tuples(digits, st.text(SEPARATORS, max_size=3)), min_size=7, max_size=18).map(
    lambda pairs: "".join(digit + between for digit, between in pairs)
)


def longest_run(text: str) -> int:
    """The most digits in a row, with nothing but separators between them; counted by hand, not by the expression."""
    longest = run = 0
    for character in text:
        if character.isdigit():
            run += 1
            longest = max(longest, run)
        elif character not in SEPARATORS and unicodedata.category(character) not in {"Cf", "Pd", "Zs"}:
            run = 0
    return longest


@given(st.lists(phones | st.text(max_size=20), max_size=6).map("".join))
def test_no_run_of_seven_digits_gets_through(text: str) -> None:
    told = masked(text)
    assert longest_run(told) < 7
    assert masked(told) == told
    if longest_run(text) < 7 and len(text.encode()) <= MAX_WORDS_BYTES and not any(map(str.isdigit, text)):
        assert told == text


def test_every_digit_of_every_script_is_one() -> None:
    assert all(masked(chr(code) * 7) == "***" for code in range(0x110000) if chr(code).isdigit())


@given(st.text(min_size=400, max_size=900))
def test_words_are_bounded_in_bytes_and_stay_text(text: str) -> None:
    told = masked(text * 3)
    assert len(orjson.dumps(told)) <= MAX_WORDS_BYTES + 2, "and its quotes"
    assert read_refused(orjson.dumps({"message": text * 3}), 400).message == told


@given(st.text(st.sampled_from('\x00\x1f\n"\\a\u00e9\u20ac\U0001f600'), min_size=1, max_size=20))
def test_words_take_no_more_room_when_they_are_written_as_json(piece: str) -> None:
    text = piece * (2100 // len(piece))
    told = masked(text)
    assert text.startswith(told)
    assert len(orjson.dumps(told)) <= MAX_WORDS_BYTES + 2, "and its quotes"
    following = text[: len(told) + 1]
    assert following == told or len(orjson.dumps(following)) > MAX_WORDS_BYTES + 2, "no character more would fit"


def test_a_long_message_is_cut_without_leaving_half_a_phone_at_its_end() -> None:
    phones = "call +34600111222 now, " * 380  # the bound falls into one of them
    told = masked(phones)
    assert longest_run(told) < 7
    assert not any(character.isdigit() for character in told)
    assert masked("1" * 1_000_000) == ""
    assert masked("123456" + " " * 1_000_000) == ""

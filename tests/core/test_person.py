"""Persons: however a number is spelled, whoever can be recognised is recognised, and nobody else is."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from consumer.core.event import Identity
from consumer.core.person import person_of

CODES = st.from_regex(r"[1-9][0-9]{0,2}", fullmatch=True)
NATIONAL = st.from_regex(r"[1-9][0-9]{5,10}", fullmatch=True)
SEPARATORS = st.text(st.sampled_from(" -.()/\u00a0\u2011\u2013\u202d\u202c\u200b\t"), max_size=3)
DIGITS = "0123456789"
SCRIPTS = st.sampled_from(
    [
        DIGITS,
        "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",  # full width
        "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669",  # Arabic-Indic
    ]
)


def who(
    *, e164: str | None = None, number: str | None = None, code: str | None = None, external: str | None = None
) -> tuple[int, str]:
    return person_of(phone_e164=e164, phone_number=number, country_code=code, external_code=external)


@st.composite
def spelled(draw: st.DrawFn, digits: str) -> str:
    """The digits with separators between them, in some script."""
    script = draw(SCRIPTS)
    text = "".join(draw(SEPARATORS) + each for each in digits) + draw(SEPARATORS)
    assume("(0)" not in text)  # that would say something
    return text.translate(str.maketrans(DIGITS, script))


@st.composite
def spellings(draw: st.DrawFn, code: str, national: str) -> tuple[str, str | None]:
    """One number as `phoneNumber` and `countryCode`, in any way that tells the country."""
    match draw(st.sampled_from(["plus", "zeros", "code", "trunk"])):
        case "plus":
            return draw(SEPARATORS) + draw(st.sampled_from("+\uff0b")) + draw(spelled(code + national)), draw(
                st.none() | CODES
            )
        case "zeros":
            return draw(spelled("00" + code + national)), draw(st.none() | CODES)
        case "trunk":
            return f"+{code} (0){draw(spelled(national))}", draw(st.none() | CODES)
        case _:
            return draw(spelled(national)), draw(st.sampled_from([code, code.zfill(3)]))


@given(st.data(), CODES, NATIONAL)
def test_every_spelling_that_tells_the_country_is_one_person(data: st.DataObject, code: str, national: str) -> None:
    number, country_code = data.draw(spellings(code, national))
    assert who(number=number, code=country_code) == who(e164="+" + code + national)


@given(st.data(), NATIONAL)
def test_every_spelling_without_a_country_is_one_person_of_another_kind(data: st.DataObject, national: str) -> None:
    kind, person = who(number=data.draw(spelled(national)))
    assert (kind, person) == (Identity.LOCAL, national)


@given(CODES, NATIONAL, CODES, NATIONAL)
def test_different_numbers_are_different_persons(code: str, national: str, other: str, number: str) -> None:
    assume(code + national != other + number)
    assert who(number=national, code=code) != who(number=number, code=other)


@given(st.text(min_size=1), st.none() | CODES)
def test_any_text_names_somebody_always_the_same(number: str, code: str | None) -> None:
    kind, person = who(number=number, code=code)
    assert person
    assert kind in {Identity.E164, Identity.LOCAL}
    assert who(number=number, code=code, external="x") == (kind, person)


@given(st.text(min_size=1))
def test_a_code_without_a_phone_is_a_person_of_its_own(code: str) -> None:
    assert who(external=code, code="34") == (Identity.CODE, code)


def test_e164_wins_over_the_number_and_any_phone_over_the_code() -> None:
    assert who(e164="+34600111222", number="700", code="1", external="c") == (Identity.E164, "+34600111222")
    assert who(number="600111222", external="c") == (Identity.LOCAL, "600111222")


@pytest.mark.parametrize(
    "number, code, kind, person",
    [
        ("600 111 222", "34", Identity.E164, "+34600111222"),
        ("(+34) 600-111-222", None, Identity.E164, "+34600111222"),
        ("0034 600 111 222", "99", Identity.E164, "+34600111222"),
        ("+44 (0)20 7946 0018", None, Identity.E164, "+442079460018"),
        ("(0)20 7946 0018", "44", Identity.E164, "+442079460018"),
        ("+34 60(0)111222", None, Identity.E164, "+34600111222"),
        ("(0)20 7946 0018", None, Identity.LOCAL, "02079460018"),
        ("020 7946 0018", "39", Identity.E164, "+3902079460018"),  # Rome keeps its zero: nobody guesses
        ("+0034600111222", None, Identity.E164, "+34600111222"),
        ("600111222", "000", Identity.LOCAL, "600111222"),
        ("600111222 ext. 5", "34", Identity.LOCAL, "600111222ext5"),
        ("000", None, Identity.LOCAL, "000"),
        ("+", "34", Identity.LOCAL, "+"),
        ("---", "34", Identity.LOCAL, "---"),
    ],
)
def test_a_number_is_read_as_people_write_it(number: str, code: str | None, kind: int, person: str) -> None:
    assert who(number=number, code=code) == (kind, person)


def test_an_e164_with_zeros_before_its_country_is_the_number_that_it_dials() -> None:
    assert who(e164="+0034600111222") == who(e164="+34600111222")

"""Persons: however one number is spelled, its spellings never stand as two people in one request."""

from itertools import combinations
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from consumer.core.event import Identity
from consumer.core.person import person_of, spelled_out

CODES = st.sampled_from(
    [1, 7, 20, 27, 33, 34, 39, 44, 49, 52, 54, 55, 61, 81, 91, 212, 225, 351, 376, 420, 852, 971, 998, 999]
).map(str)
NATIONAL = st.from_regex(r"[1-9][0-9]{6,10}", fullmatch=True)
SEPARATORS = st.text(st.sampled_from(" -.()/\u00a0\u2011\u2013\u202d\u202c\u200b\t"), max_size=3)
DIGITS = "0123456789"
SCRIPTS = st.sampled_from(
    [
        DIGITS,
        "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",  # full width
        "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669",  # Arabic-Indic
    ]
)


class Spelling(NamedTuple):
    """What an event's contact may say of a phone."""

    e164: str | None = None
    number: str | None = None
    code: str | None = None


def who(
    *, e164: str | None = None, number: str | None = None, code: str | None = None, external: str | None = None
) -> tuple[int, str]:
    return person_of(phone_e164=e164, phone_number=number, country_code=code, external_code=external)


def shares_a_request(one: Spelling, other: Spelling) -> bool:
    """Whether two people who are spelled like this may stand in one request: one kind, and not one person."""
    (kind, person), (other_kind, other_person) = who(**one._asdict()), who(**other._asdict())
    return kind == other_kind and person != other_person


@st.composite
def spelled(draw: st.DrawFn, digits: str) -> str:
    """The digits with separators between them, in some script."""
    script = draw(SCRIPTS)
    text = "".join(draw(SEPARATORS) + each for each in digits) + draw(SEPARATORS)
    assume("(0)" not in text)  # that would say something
    return text.translate(str.maketrans(DIGITS, script))


def spellings_of(code: str, national: str, *, at_home: tuple[str, ...]) -> list[Spelling]:
    """One phone in every way that upstreams write it down; `at_home` is what may stand before the national number."""
    local = [national, *(before + national for before in at_home), code + national]
    numbers = [*local, f"+{code}{national}", f"00{code}{national}", f"+{code} (0){national}", f"{national} ext. 5"]
    numbers += [f"+{code} {before}{national}" for before in at_home]
    numbers += [f"00{code}{before}{national}" for before in at_home]
    numbers += [f"+{code}{code}{national}", f"(0){national}", f"{national[:3]} {national[3:6]}-{national[6:]}"]
    in_e164 = [f"+{code}{national}", f"+00{code}{national}", f"+{code}{code}{national}"]
    in_e164 += [f"+{code}{before}{national}" for before in at_home]
    codes = [None, code, code.zfill(3), "000"]
    another = "44" if code != "44" else "33"
    return [
        *(Spelling(e164=each) for each in in_e164),
        *(Spelling(number=number, code=country) for number in numbers for country in codes),
        *(Spelling(number=number, code=another) for number in numbers if number.startswith(("+", "00"))),
    ]


@pytest.mark.parametrize(
    "code, national, at_home",
    [
        ("33", "612345678", ("0",)),
        ("44", "7911123456", ("0",)),
        ("49", "15112345678", ("0",)),
        ("61", "412345678", ("0",)),
        ("39", "3471234567", ()),
        ("39", "0612345678", ()),  # Rome keeps its zero
        ("34", "600111222", ()),
        ("1", "2025550123", ("1",)),
        ("7", "9121234567", ("8",)),
        ("7", "7011234567", ("8",)),  # Kazakhstan
        ("36", "201234567", ("06",)),
        ("54", "1123456789", ("0", "9", "15", "011")),
        ("54", "111523456789", ("0", "9")),
        ("52", "5512345678", ("1", "01", "044", "045")),
        ("55", "11987654321", ("0", "015")),
        ("225", "0701234567", ()),
        ("376", "312345", ()),
        ("298", "211234", ()),
        ("999", "600000001", ("0",)),
    ],
)
def test_one_phone_never_stands_twice_in_one_request_however_it_is_spelled(
    code: str, national: str, at_home: tuple[str, ...]
) -> None:
    spellings = spellings_of(code, national, at_home=at_home)
    shared = [pair for pair in combinations(spellings, 2) if shares_a_request(*pair)]
    assert shared == []


def test_digits_that_a_country_has_added_do_not_make_another_person() -> None:
    argentina = [
        Spelling(e164="+5491123456789"),
        Spelling(e164="+541123456789"),
        Spelling(e164="+54111523456789"),
        Spelling(number="011 15 2345-6789", code="54"),
        Spelling(number="11 2345-6789", code="54"),
    ]
    mexico = [Spelling(e164="+5215512345678"), Spelling(e164="+525512345678"), Spelling(number="5512345678", code="52")]
    brazil = [Spelling(e164="+5511987654321"), Spelling(e164="+551187654321"), Spelling(number="1187654321", code="55")]
    for spellings in (argentina, mexico, brazil):
        assert [pair for pair in combinations(spellings, 2) if shares_a_request(*pair)] == []


@given(st.data(), CODES, NATIONAL, st.sampled_from(["", "0", "00"]))
def test_every_spelling_beside_its_country_code_is_one_person(
    data: st.DataObject, code: str, national: str, before: str
) -> None:
    repeated = data.draw(st.sampled_from(["", code, "+" + code]))
    number = data.draw(spelled(before + national)) if not repeated else repeated + data.draw(spelled(national))
    kind, person = who(number=number, code=data.draw(st.sampled_from([code, code.zfill(3)])))
    if before != "00" or repeated:  # else it seems to dial another country
        assert (kind, person) == (Identity.NATIONAL, national[-7:])


@given(st.data(), CODES, NATIONAL)
def test_a_plain_international_number_is_one_person_with_the_same_in_e164(
    data: st.DataObject, code: str, national: str
) -> None:
    plus, zeros = data.draw(SEPARATORS) + data.draw(st.sampled_from("+\uff0b")), "00"
    number = data.draw(spelled(code + national))
    assert who(number=plus + number) == who(number=zeros + number) == who(e164="+" + code + national)


@given(st.data(), NATIONAL)
def test_every_spelling_without_a_country_is_one_person_of_another_kind(data: st.DataObject, national: str) -> None:
    number = data.draw(st.sampled_from(["", "0"])) + data.draw(spelled(national))
    assert who(number=number) == (Identity.LOCAL, national[-7:])


@given(CODES, NATIONAL, CODES, NATIONAL)
def test_numbers_that_differ_in_their_last_digits_are_different_persons(
    code: str, national: str, other: str, number: str
) -> None:
    assume(national[-7:] != number[-7:])
    assert who(e164=f"+{code}{national}")[1] != who(e164=f"+{other}{number}")[1]
    assert who(number=national, code=code)[1] != who(number=number, code=other)[1]


@given(CODES, NATIONAL)
def test_a_phone_keeps_its_order_in_every_spelling_with_and_without_its_country(code: str, national: str) -> None:
    spellings = spellings_of(code, national, at_home=("0", "1"))
    assert {who(**each._asdict())[1] for each in spellings} == {national[-7:]}


@given(st.text(min_size=1), st.none() | CODES)
def test_any_text_names_somebody_always_the_same(number: str, code: str | None) -> None:
    kind, person = who(number=number, code=code)
    assert person
    assert kind in {Identity.E164, Identity.LOCAL, Identity.NATIONAL, Identity.SHORT}
    assert who(number=number, code=code, external="x") == (kind, person)
    assert spelled_out(number, code)


@given(st.from_regex(r"[a-z0-9-]+", fullmatch=True))
def test_a_code_without_a_phone_is_a_person_of_its_own(code: str) -> None:
    assert who(external=code, code="34") == (Identity.CODE, code)


@pytest.mark.parametrize("other", ["Cust-1", "CUST-1", " cust-1", "cust-1 ", "\uff43ust-1"])
def test_codes_that_a_database_may_take_for_one_are_one_person(other: str) -> None:
    assert who(external=other) == who(external="cust-1")


def test_a_code_of_blanks_is_still_somebody() -> None:
    assert who(external=" ") == (Identity.CODE, " ")


def test_e164_wins_over_the_number_and_any_phone_over_the_code() -> None:
    assert who(e164="+34600111222", number="700", code="1", external="c") == (Identity.E164, "0111222")
    assert who(number="600111222", external="c") == (Identity.LOCAL, "0111222")


@pytest.mark.parametrize(
    "number, code, kind, person",
    [
        ("600 111 222", "34", Identity.NATIONAL, "0111222"),
        ("+34600111222", "34", Identity.NATIONAL, "0111222"),
        ("34600111222", "34", Identity.NATIONAL, "0111222"),
        ("(+34) 600-111-222", None, Identity.E164, "0111222"),
        ("0034 600 111 222", None, Identity.E164, "0111222"),
        ("0034 600 111 222", "99", Identity.LOCAL, "0111222"),  # no such country
        ("0034 600 111 222", "44", Identity.LOCAL, "0111222"),  # two countries
        ("+44 (0)20 7946 0018", None, Identity.E164, "9460018"),
        ("+44 07911 123456", None, Identity.NATIONAL, "1123456"),
        ("(0)20 7946 0018", "44", Identity.NATIONAL, "9460018"),
        ("(0)20 7946 0018", None, Identity.LOCAL, "9460018"),
        ("+39 06 1234 5678", None, Identity.NATIONAL, "2345678"),  # Rome keeps its zero: nobody guesses
        ("+0034600111222", None, Identity.E164, "0111222"),
        ("+34600111222 ext. 5", None, Identity.NATIONAL, "0111222"),
        ("600111222 ext. 5", "34", Identity.NATIONAL, "0111222"),
        ("1-800-FLOWERS", None, Identity.LOCAL, "3569377"),
        ("600111222", "000", Identity.LOCAL, "0111222"),
        ("312345", "376", Identity.NATIONAL, "6312345"),
        ("012345", None, Identity.SHORT, "12345"),
        ("000", None, Identity.SHORT, "000"),
        ("+", "34", Identity.SHORT, "+"),
        ("---", "34", Identity.SHORT, "---"),
    ],
)
def test_a_number_is_read_as_people_write_it(number: str, code: str | None, kind: int, person: str) -> None:
    assert who(number=number, code=code) == (kind, person)


@pytest.mark.parametrize(
    "phone, kind, person",
    [
        ("+34600111222", Identity.E164, "0111222"),
        ("+0034600111222", Identity.E164, "0111222"),
        ("+447911123456", Identity.E164, "1123456"),
        ("+4407911123456", Identity.NATIONAL, "1123456"),
        ("+343434600111222", Identity.NATIONAL, "0111222"),
        ("+12025550123", Identity.E164, "5550123"),
        ("+112025550123", Identity.NATIONAL, "5550123"),
        ("+79121234567", Identity.E164, "1234567"),
        ("+789121234567", Identity.NATIONAL, "1234567"),
        ("+351351912345678", Identity.NATIONAL, "2345678"),
        ("+351312345678", Identity.E164, "2345678"),
        ("+5511987654321", Identity.E164, "7654321"),
        ("+0000000", Identity.NATIONAL, "0"),
    ],
)
def test_an_e164_that_can_be_read_in_two_ways_is_none(phone: str, kind: int, person: str) -> None:
    assert who(e164=phone) == (kind, person)

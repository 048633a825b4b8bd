"""Who a contact is: the identity that order and separation go by. Guesses no country, asks no one.

A request never holds one person twice, and a person's texts keep their order, whatever the spelling. Spellings of a phone
differ in what stands before its last seven digits (a country code or none, zeros for calls at home, a code twice, digits that
a country has added), so the last seven digits make the person: two people who are taken for one are only sent to one after
the other. That is good enough to wait, and never to leave somebody out. One request holds one kind of spelling, too: a plain
E.164 number, a number beside its country code, a number without one, a code.
"""

import unicodedata
from typing import Final

from consumer.core.event import Identity

_TELLING_DIGITS: Final = 7
TELLING: Final = slice(-_TELLING_DIGITS, None)
"""Digits at the end of a number that every spelling of it shares: subscribers' numbers are hardly ever shorter."""

_MOST_CHARACTERS: Final = 256
"""Of a number, that are looked at: no phone is written with so many, and a record may bring a megabyte of them."""

_LEAST_DIGITS: Final = 5
"""Of a subscriber's number: where fewer stand before a letter, the letters are part of it."""

# fmt: off
_COUNTRY_CODES_OF_2: Final = frozenset(map(str, (
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58,
    60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
)))
# fmt: on
"""Source: ITU-T E.164, list of country codes. 1 and 7 are the codes of one digit, all others have three."""

_TRUNK_8: Final = frozenset({"7", "370", "375", "992", "993", "998"})
"""Where 8 is dialled before a number at home. Elsewhere it is 0, or the country code itself."""

_TRUNK_ZERO: Final = "(0)"  # +44 (0)20 7946 0018: dialled at home only, never after a country code
_MAX_CODE_DIGITS: Final = 3
_OPENING_DIGITS: Final = _MAX_CODE_DIGITS + 1
_SEPARATORS: Final = frozenset("()[]{}./\\_~·•,;:'\"`|")
_SEPARATOR_CATEGORIES: Final = frozenset({"Zs", "Zl", "Zp", "Pd", "Cc", "Cf"})  # spaces, dashes, invisible marks
_MINUS: Final = "\N{MINUS SIGN}"
_KEYPAD: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")  # ITU-T E.161


def person_of(
    *, phone_e164: str | None, phone_number: str | None, country_code: str | None, external_code: str | None
) -> tuple[int, str]:
    """The kind of identity and the person, of a contact that names at least one. Two people may get the same key: they are only sent one after the other."""
    if phone_e164 is not None:
        return person_of_e164(phone_e164)
    if phone_number is not None:
        return _by_number(phone_number, country_code)
    assert external_code is not None, "a contact without a name is no valid event"
    return Identity.CODE, unicodedata.normalize("NFKC", external_code).strip().casefold() or external_code


def person_of_e164(phone: str) -> tuple[int, str]:
    """The kind and the person of `+` and digits. Not E.164 where the number may be read in two ways."""
    return _by_international(phone[1:].lstrip("0"))  # no country code begins with 0: it was dialled before it


def spelled_out(number: str, country_code: str | None) -> str:
    """A number in one spelling, for comparing what one party wrote: `+`, country code and number, as far as told."""
    code = country_code.lstrip("0") if country_code else ""
    text = _without_separators(number, is_abroad=bool(code))
    if _is_international(text):
        digits, code = text.removeprefix("+"), ""
    elif code:
        digits = text
    else:
        return text
    if _is_number(digits) and (code or digits.strip("0")):
        return "+" + (code + digits).lstrip("0")
    return text  # letters, or nothing but zeros: no number that could be compared


# ------------------------------------------------------------------------------------------------ numbers


def _by_number(number: str, country_code: str | None) -> tuple[int, str]:
    code = country_code.lstrip("0") if country_code else ""
    text = _without_separators(number[:_MOST_CHARACTERS], is_abroad=True)
    digits = _digits(text).lstrip("0")
    is_international = _is_international(text)
    if is_international and digits and not code:
        if _is_number(text.removeprefix("+")):
            return _by_international(digits)
        code = _country_code(digits)  # with an extension, say: what it dials is not certain
    if digits and _is_country_code(code) and (not is_international or digits.startswith(code)):
        return Identity.NATIONAL, _last_digits(code + digits)
    if len(digits) >= _TELLING_DIGITS:  # no country, or two that contradict one another
        return Identity.LOCAL, _last_digits(digits)
    return Identity.SHORT, digits or text.casefold()


def _by_international(digits: str) -> tuple[int, str]:
    code = _country_code(digits)
    rest = digits[len(code) :]
    kind = Identity.E164 if _is_plain(code, rest) else Identity.NATIONAL
    return kind, _last_digits(code + rest.lstrip("0"))


def _last_digits(digits: str) -> str:
    """A person by the last digits of country code and number; of a short number the code's own digits count."""
    return digits[TELLING] or "0"


def _is_plain(code: str, rest: str) -> bool:
    """Whether digits can be read in one way only: no prefix for calls at home, no code twice, no digit that is optional."""
    if rest.startswith(("0", code)):
        return False
    match code:
        case "52":  # 1 before mobile numbers, until 2019
            return not rest.startswith("1")
        case "54":  # 9 before mobile numbers from abroad, 15 inside them at home
            return rest.startswith("9")
        case "55":  # 9 before mobile numbers, since 2012
            return len(rest) == 11  # noqa: PLR2004 - area 2, 9, and 8 digits
        case _:
            return code not in _TRUNK_8 or not rest.startswith("8")


def _country_code(digits: str) -> str:
    if digits[:1] in {"1", "7"}:
        return digits[0]
    return digits[:2] if digits[:2] in _COUNTRY_CODES_OF_2 else digits[:_MAX_CODE_DIGITS]


def _is_country_code(code: str) -> bool:
    return bool(code) and code == _country_code(code + "00")


def _opens_unsurely(opening: str) -> bool:
    code = _country_code(opening)
    rest = opening[len(code) :]
    return opening[0] == "0" or code == "55" or code.startswith(rest) or not _is_plain(code, rest)


UNSURE_OPENINGS: Final = frozenset(
    f"+{opening}"
    for opening in (f"{number:0{_OPENING_DIGITS}d}" for number in range(10**_OPENING_DIGITS))
    if _opens_unsurely(opening)
)
"""`+` and the first four digits of all numbers that may not be plain E.164; all others are, and need no closer look."""


# ------------------------------------------------------------------------------------------------ what people write


def _is_international(text: str) -> bool:
    return text.startswith(("+", "00"))


def _digits(text: str) -> str:
    """The digits of a number; of what stands behind one (an extension) nothing, letters as on a telephone's keys."""
    rest = text.removeprefix("+")
    if _is_number(rest):
        return rest
    lowered = rest.casefold()
    length = next(at for at, each in enumerate(lowered) if not _is_digit(each)) if lowered else 0
    if length >= _LEAST_DIGITS:
        return lowered[:length]
    return "".join(filter(_is_digit, lowered.translate(_KEYPAD)))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_digit(character: str) -> bool:
    return "0" <= character <= "9"


def _without_separators(number: str, *, is_abroad: bool) -> str:
    if _is_number(number):
        return number
    text = "".join(str(unicodedata.decimal(each, each)) for each in unicodedata.normalize("NFKC", number))
    before, trunk_zero, after = text.partition(_TRUNK_ZERO)
    if trunk_zero and _ends_a_country_code(_compact(before), is_abroad=is_abroad):
        text = before + after
    return _compact(text) or number


def _ends_a_country_code(text: str, *, is_abroad: bool) -> bool:
    digits = text.removeprefix("+").removeprefix("00")
    return digits.isdigit() and digits != text and len(digits) <= _MAX_CODE_DIGITS if text else is_abroad


def _compact(text: str) -> str:
    return "".join(each for each in text if not _separates(each))


def _separates(character: str) -> bool:
    return character in _SEPARATORS or character == _MINUS or unicodedata.category(character) in _SEPARATOR_CATEGORIES

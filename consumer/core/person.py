"""Who a contact is: the normalised identity that order and separation go by. Guesses no country, asks no one.

Two spellings that can be compared give one person: separators are stripped, `00` is `+`, a number with its country
code is E.164. What cannot be compared differs in kind, and one request holds one kind.
"""

import unicodedata
from typing import Final

from consumer.core.event import Identity

_TRUNK_ZERO: Final = "(0)"  # +44 (0)20 7946 0018: dialled at home only, never after a country code
_MAX_CODE_DIGITS: Final = 3
_SEPARATORS: Final = frozenset("()[]{}./\\_~·•,;:'\"`|")
_SEPARATOR_CATEGORIES: Final = frozenset({"Zs", "Zl", "Zp", "Pd", "Cc", "Cf"})  # spaces, dashes, invisible marks
_MINUS: Final = "\N{MINUS SIGN}"


def person_of(
    *, phone_e164: str | None, phone_number: str | None, country_code: str | None, external_code: str | None
) -> tuple[int, str]:
    """The kind of identity and the person, of a contact that names at least one."""
    if phone_e164 is not None:
        return Identity.E164, international(phone_e164[1:])
    if phone_number is not None:
        return _by_number(phone_number, country_code)
    assert external_code is not None, "a contact without a name is no valid event"
    return Identity.CODE, external_code


def international(digits: str) -> str:
    """E.164 of country code and number. No country code begins with 0: what stands before it was dialled."""
    return "+" + digits.lstrip("0")


def _by_number(number: str, country_code: str | None) -> tuple[int, str]:
    code = country_code.lstrip("0") if country_code else ""
    text = number
    if not (text.isascii() and text.isdigit()):
        text = _without_separators(number, is_abroad=bool(code))
    if text.startswith("+"):
        digits, code = text[1:], ""
    elif text.startswith("00"):
        digits, code = text[2:], ""
    elif code:
        digits = text
    else:
        return Identity.LOCAL, text
    if digits.isascii() and digits.isdigit() and (code or digits.strip("0")):
        return Identity.E164, international(code + digits)
    return Identity.LOCAL, text  # letters, or nothing but zeros: no number that could be compared


def _without_separators(number: str, *, is_abroad: bool) -> str:
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

"""Which person a contact names, and which people the platform knows. Never sends, never counts requests.

A phone identifies a person. A code without a phone means the person that was created with that code; if there is none, it
is a person of its own. Prefixes that are dialled only within a country are removed from numbers, because a platform that
knows the countries it texts to does so as well.
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import UNSET, UnsetType

from consumer.sandbox.wire import RequestedContact

Person = str
"""`+34600111222`, a national number as its digits, or `code:cust-829172`."""

CODE_PREFIX = "code:"
_COUNTRIES = {
    "1": ("", 10),
    "7": ("8", 10),
    "33": ("", 9),
    "34": ("", 9),
    "39": ("", 11),
    "44": ("", 10),
    "49": ("", 11),
    "52": ("1", 10),
    "54": ("9", 10),
    "55": ("", 11),
    "61": ("", 9),
}
"""By country code: the prefix, other than 0, that may come before a national number, and the number's most digits."""
_KEEPS_ITS_ZERO = "39"
_MOBILE_AT_HOME = re.compile(r"([0-9]{2,4})15([0-9]{6,8})")
"""Argentina's mobile prefix, between area code and number."""
_OPENINGS = frozenset(f"+{opening}" for opening in range(10, 100) if {str(opening), str(opening)[0]} & {*_COUNTRIES})
"""The first three characters of all E.164 numbers of these countries."""
_NO_DIGITS = re.compile(r"[^0-9]")
_LIKE_A_PHONE = re.compile(r"[+(]?[0-9][0-9 ./()-]*")


def person_named(text: str) -> Person:
    """Return the person for a phone or a code; a code that looks like a phone has `code:` before it."""
    if text.startswith(CODE_PREFIX) or not _LIKE_A_PHONE.fullmatch(text):
        return CODE_PREFIX + text.removeprefix(CODE_PREFIX)
    return _from_number(text, None)


def _from_number(number: str, country_code: str | None) -> Person:
    digits = _NO_DIGITS.sub("", number)
    if number.startswith("+"):
        return _international(digits)
    if digits.startswith("00"):
        return _international(digits[2:])
    return _international(country_code + digits) if country_code else digits


def _international(digits: str) -> Person:
    """Return the E.164 number for these digits, without national prefixes and without a doubled country code."""
    code = next((code for code in (digits[:1], digits[:2]) if code in _COUNTRIES), "")
    if not code:
        return "+" + digits
    before, most = _COUNTRIES[code]
    national = digits[len(code) :]
    while len(national) > most and national.startswith(code):
        national = national.removeprefix(code)
    if code != _KEEPS_ITS_ZERO:
        national = national.lstrip("0")
    if len(national) > most:
        national = national.removeprefix(before)
    if len(national) > most and code == "54":
        national = _MOBILE_AT_HOME.sub(r"\1\2", national)
    return f"+{code}{national}"


class PeopleOfThePlatform:
    """The people of the platform: who is known, who was texted, who is disabled."""

    def __init__(self) -> None:
        self.disabled: set[Person] = set()
        self.known: set[Person] = set()
        """People who were known before the first send; not counted as created."""
        self.texted: set[Person] = set()
        self._by_code: dict[str, Person] = {}
        self._noted: list[tuple[list[str | UnsetType], list[Person]]] = []
        """Codes and people that are not in `_by_code` yet: most traffic never asks for a code alone, and filling a
        dictionary of half a million costs more than all the rest of this class."""

    def forget(self) -> None:
        """Forget everybody, but not who is disabled."""
        self.known.clear()
        self.texted.clear()
        self._by_code.clear()
        self._noted.clear()

    def persons(self, contacts: Iterable[RequestedContact]) -> list[Person]:
        """Return the person that each contact names, in order."""
        return [
            phone if (phone := each.phone_e164) is not UNSET and phone[:3] not in _OPENINGS else self._person(each)
            for each in contacts
        ]

    def introduce(self, contacts: Sequence[RequestedContact]) -> None:
        """Make contacts known that no request has created."""
        persons = self.persons(contacts)
        self._note_codes(contacts, persons, set(persons).difference(self.known))
        self.known.update(persons)

    def text(self, contacts: Sequence[RequestedContact], persons: Sequence[Person]) -> int:
        """Record that these people, each named once, get a text; return how many had to be created."""
        new = set(persons) - self.texted
        if new:
            self.texted |= new
            new -= self.known
            self._note_codes(contacts, persons, new)
        return len(new)

    def _note_codes(
        self, contacts: Sequence[RequestedContact], persons: Sequence[Person], created: set[Person]
    ) -> None:
        """Note the codes of created people: a code beside a phone counts only at creation, and only if it is free."""
        if len(created) == len(persons):
            self._noted.append(([each.external_code for each in contacts], list(persons)))
        elif created:
            pairs = [
                (each.external_code, person)
                for each, person in zip(contacts, persons, strict=True)
                if person in created
            ]
            self._noted.append(([code for code, _ in pairs], [person for _, person in pairs]))

    def _person(self, contact: RequestedContact) -> Person:
        if contact.phone_e164 is not UNSET:
            return _international(contact.phone_e164[1:])
        if contact.phone_number is not UNSET:
            return _from_number(contact.phone_number, contact.country_code or None)
        assert contact.external_code is not UNSET
        if self._noted:
            self._look_up_noted_codes()
        return self._by_code.get(contact.external_code, CODE_PREFIX + contact.external_code)

    def _look_up_noted_codes(self) -> None:
        for codes, persons in self._noted:
            for code, person in zip(codes, persons, strict=True):
                if code is not UNSET:
                    self._by_code.setdefault(code, person)
        self._noted.clear()

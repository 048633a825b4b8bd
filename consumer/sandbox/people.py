"""Whom a contact names, and which people the platform knows. Never sends, never counts requests.

A phone is the person; a code without a phone is the person that was created with that code, or one of its own.
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import UNSET, UnsetType

from consumer.sandbox.wire import Contact

Person = str
"""`+34600111222`, a national number as its digits, or `code:cust-829172`."""

CODE_PREFIX = "code:"
_NO_DIGITS = re.compile(r"[^0-9]")
_LIKE_A_PHONE = re.compile(r"[+(]?[0-9][0-9 ./()-]*")


def person_named(text: str) -> Person:
    """The person that somebody means by a phone, a code or `code:` and a code that looks like a phone."""
    if text.startswith(CODE_PREFIX) or not _LIKE_A_PHONE.fullmatch(text):
        return CODE_PREFIX + text.removeprefix(CODE_PREFIX)
    return _from_number(text, None)


def _from_number(number: str, country_code: str | None) -> Person:
    digits = _NO_DIGITS.sub("", number)
    if number.startswith("+"):
        return "+" + digits
    if digits.startswith("00"):
        return "+" + digits[2:]
    return f"+{country_code}{digits}" if country_code else digits


class Directory:
    """The people of the platform: who is known, who was texted, who is disabled."""

    def __init__(self) -> None:
        self.disabled: set[Person] = set()
        self.known: set[Person] = set()
        """Those who were there before the first send; not counted as created."""
        self.texted: set[Person] = set()
        self._by_code: dict[str, Person] = {}
        self._noted: list[tuple[list[str | UnsetType], list[Person]]] = []
        """Codes and people that are not in `_by_code` yet: most traffic never asks for a code alone, and filling a
        dictionary of half a million costs more than all the rest of this class."""

    def forget(self) -> None:
        """Forget everybody except who is disabled."""
        self.known.clear()
        self.texted.clear()
        self._by_code.clear()
        self._noted.clear()

    def persons(self, contacts: Iterable[Contact]) -> list[Person]:
        """Whom each contact names, in order."""
        return [phone if (phone := each.phone_e164) is not UNSET else self._person(each) for each in contacts]

    def introduce(self, contacts: Sequence[Contact]) -> None:
        """Make contacts known that no request has created."""
        persons = self.persons(contacts)
        self._note_codes(contacts, persons, set(persons).difference(self.known))
        self.known.update(persons)

    def text(self, contacts: Sequence[Contact], persons: Sequence[Person]) -> int:
        """Note that these people, each of whom stands there once, get a text; return how many had to be created."""
        new = set(persons) - self.texted
        if new:
            self.texted |= new
            new -= self.known
            self._note_codes(contacts, persons, new)
        return len(new)

    def _note_codes(self, contacts: Sequence[Contact], persons: Sequence[Person], created: set[Person]) -> None:
        """A code given beside a phone is used only where the contact is created, and only if the code is free."""
        if len(created) == len(persons):
            self._noted.append(([each.external_code for each in contacts], list(persons)))
        elif created:
            pairs = [
                (each.external_code, person)
                for each, person in zip(contacts, persons, strict=True)
                if person in created
            ]
            self._noted.append(([code for code, _ in pairs], [person for _, person in pairs]))

    def _person(self, contact: Contact) -> Person:
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

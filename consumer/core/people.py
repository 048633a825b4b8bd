"""People as operators name them, a phone or a code, compared with those of events as the service compares people.

What was typed leaves this module only as a comparison: it is never shown, and stands in no plan.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from consumer.core.event import Identity
from consumer.core.person import person_of, spelled_out

PEOPLE: Final = ("phone", "phone", "code", "phone", "short")
"""By `Identity`: people of one of these may be one person, although no request holds two kinds."""

_LIKE_A_PHONE: Final = re.compile(r"[+\d\s().\-/\u2010-\u2015]+")
_FEWEST_DIGITS: Final = 3


def person_in(person: str) -> str:
    """Return who gets an event, without the campaign that stands before them in `Event.person`."""
    return person.partition(" ")[2]


def person_of_code(code: str) -> str:
    """Return the person whom an external code names."""
    kind, person = person_of(phone_e164=None, phone_number=None, country_code=None, external_code=code)
    return f"{PEOPLE[kind]} {person}"


def people_of(text: str) -> Iterator[str]:
    """Yield the people whom a text may name: by code, and by phone where it is written like one."""
    yield person_of_code(text)
    if _is_like_a_phone(text):
        kind, person = person_of(phone_e164=None, phone_number=text, country_code=None, external_code=None)
        yield f"{PEOPLE[kind]} {person}"


def _is_like_a_phone(text: str) -> bool:
    return _LIKE_A_PHONE.fullmatch(text) is not None and sum(map(str.isdigit, text)) >= _FEWEST_DIGITS


class People:
    """Some people, to be asked whether an event is for one of them."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Take phones and codes, as they were typed."""
        people = {person for text in texts for person in people_of(text)}
        code = f"{PEOPLE[Identity.CODE]} "
        self._codes = frozenset(person for person in people if person.startswith(code))
        self._phones = frozenset(people) - self._codes

    def __bool__(self) -> bool:
        return bool(self._codes)

    def has(self, person: str, external_code: str | None) -> bool:
        """Whether a contact is one of them: `person` as `person_in` gives them, and the code that stands beside a phone."""
        if person in self._phones or person in self._codes:
            return True
        return external_code is not None and person_of_code(external_code) in self._codes


class Recipients:
    """Test recipients: those whom events may reach at all. Phones are compared as persons, two plain E.164 numbers whole."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Take phones and codes, as they were set."""
        listed = tuple(texts)
        self._people = People(listed)
        self._numbers: dict[str, set[str]] = {}
        """The whole numbers of phones that can be read in one way only, by person."""
        self._unsure: set[str] = set()
        """Phones in other spellings: seven digits are all that can be compared."""
        for text in filter(_is_like_a_phone, listed):
            kind, person = person_of(phone_e164=None, phone_number=text, country_code=None, external_code=None)
            if kind == Identity.E164:
                self._numbers.setdefault(person, set()).add(spelled_out(text, None))
            else:
                self._unsure.add(person)

    def has(self, kind: int, person: str, number: str | None, external_code: str | None) -> bool:
        """Whether a contact is one of them; `number` is a plain E.164 number in whole.

        Two such numbers that differ are two phones, whatever their last digits: no stranger gets a test.
        """
        if kind == Identity.E164 and number is not None and person not in self._unsure:
            named = person in self._numbers and spelled_out(number, None) in self._numbers[person]
        else:
            named = self._people.has(f"{PEOPLE[kind]} {person}", None)
        return named or (external_code is not None and self._people.has("", external_code))

"""Made-up people, and the ways in which upstream services name a person. No number belongs to a real phone.

Numbers begin with +999, a country code that is not assigned. So a wrong platform URL cannot text a stranger. The national
part is 600 000 000 + n, so a number identifies its person.
"""

from random import Random
from typing import NamedTuple

COUNTRY_CODE = "999"
FIRST_NUMBER = 600_000_000
LAST_PERSON = 99_999_999
"""The largest n whose number still has nine digits and begins with 6."""

FIRST_NAMES = ("Ada", "Amira", "Bo", "Chidi", "Elena", "Ignacio", "Jürgen", "Mei", "Núria", "Olu", "Sofía", "Zoë")

Contact = dict[str, object]


class Person(NamedTuple):
    """The n-th made-up person."""

    number: int

    @property
    def customer_id(self) -> str:
        """The upstream service's ID of the person: the record key, and the platform's external code."""
        return f"cust-{self.number:08d}"

    @property
    def first_name(self) -> str:
        """The first name, for templates."""
        return FIRST_NAMES[self.number % len(FIRST_NAMES)]

    @property
    def national_number(self) -> str:
        """The phone without its country code: nine digits."""
        return str(FIRST_NUMBER + self.number)


def spelled_plainly(person: Person) -> Contact:
    """Return a contact as a careful upstream service writes it: E.164, and the external code."""
    return {"phoneE164": f"+{COUNTRY_CODE}{person.national_number}", "externalCode": person.customer_id}


def spelled_somehow(person: Person, rng: Random) -> Contact:
    """Return a contact in one of the spellings that upstream services use; all of them mean the same phone."""
    national = person.national_number
    grouped = f"{national[:3]} {national[3:6]} {national[6:]}"
    spellings: tuple[Contact, ...] = (
        {"phoneE164": f"+{COUNTRY_CODE}{national}"},
        {"phoneNumber": national, "countryCode": COUNTRY_CODE},
        {"phoneNumber": grouped, "countryCode": COUNTRY_CODE, "externalCode": person.customer_id},
        {"phoneNumber": f"00{COUNTRY_CODE}{national}"},
        {"phoneNumber": f"+{COUNTRY_CODE} {grouped.replace(' ', '-')}"},
    )
    return dict(rng.choice(spellings))

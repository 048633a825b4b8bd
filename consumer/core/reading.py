"""What the platform's words say about each contact of a request. Never settles anybody, never says what a status means.

An answer is read once per request. Without `data.errors` nothing is done per contact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from consumer.core.event import Event
from consumer.core.masking import MASK, MAX_WORDS_BYTES, masked
from consumer.core.outcome import Reason, Response
from consumer.core.policy import FieldNames

MAX_ID_CHARACTERS = 256
"""`data.id` is the platform's name for a send; what is longer than this is none."""

NO_CONTENT = frozenset({204, 205})
"""Answers that have no body by definition: there is nothing that could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An accepted answer, read. A member is in `rejected`, or in `suspected`, or in neither."""

    response: Response
    """The words that everybody hears who is not rejected."""
    reason: Reason | None
    """Why those who are in neither list are accepted with a reservation."""
    rejected: Sequence[tuple[Event, Response]] = ()
    """Members that an item names, and nobody else with them: `contact_refused`, in these words."""
    suspected: Sequence[Event] = ()
    """Members that an item names together with others: accepted, `platform_reported_errors`."""
    unplaced_items: int = 0
    """Items that name nobody, or several: they are counted."""


def read_accepted(body: bytes | None, status: int, members: Sequence[Event], names: FieldNames) -> Reading:
    """Read the body of an accepted answer: who is rejected by an item of `data.errors`, and in which words."""
    parsed = _parsed(body)
    response = _response(status, parsed)
    if parsed is None and not (status in NO_CONTENT and body == b""):
        return Reading(response=response, reason=Reason.UNREADABLE_ANSWER)
    items = _items(parsed)
    if not items:
        return Reading(response=response, reason=None)
    return _placed(items, response, members, names)


def read_refused(body: bytes | None, status: int) -> Response:
    """Read the body of any other answer: the platform's words about the request as a whole."""
    return _response(status, _parsed(body))


def read_refused_contact(body: bytes | None, status: int, member: Event, names: FieldNames) -> Response:
    """Read the body of an answer that refuses a request's only contact, with the item that names it if there is one."""
    parsed = _parsed(body)
    response = _response(status, parsed)
    directory = Directory((member,), names)
    named = (item for item in _items(parsed) if directory.named_by(item))
    return next((_with_item(response, item, names) for item in named), response)


def _placed(items: Sequence[Any], response: Response, members: Sequence[Event], names: FieldNames) -> Reading:
    directory = Directory(members, names)
    rejected: dict[int, Response] = {}
    suspected: set[int] = set()
    unplaced = nameless = 0
    for item in items:
        named = directory.named_by(item)
        if len(named) == 1:
            rejected.setdefault(named.pop(), _with_item(response, item, names))
            continue
        unplaced += 1
        nameless += not named
        suspected |= named
    return Reading(
        response=response,
        reason=Reason.PLATFORM_REPORTED_ERRORS if nameless else None,
        rejected=[(members[index], told) for index, told in sorted(rejected.items())],
        suspected=[members[index] for index in sorted(suspected - rejected.keys())],
        unplaced_items=unplaced,
    )


# ------------------------------------------------------------------------------------------------ the answer's body


def _parsed(body: bytes | None) -> dict[str, Any] | None:
    """The body as a JSON object, None where it is none."""
    if body is None:
        return None
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _data(parsed: Mapping[str, Any] | None) -> Mapping[str, Any]:
    data = parsed.get("data") if parsed is not None else None
    return data if isinstance(data, dict) else {}


def _items(parsed: Mapping[str, Any] | None) -> Sequence[Any]:
    """The items of `data.errors`; anything else that is said there is one item that names nobody."""
    errors = _data(parsed).get("errors")
    if isinstance(errors, list):
        return errors
    return [errors] if errors else []


def _response(status: int, parsed: Mapping[str, Any] | None) -> Response:
    said = parsed.get("message") if parsed is not None else None
    if isinstance(said, list):  # validators that report several mistakes do so
        said = "; ".join(part for part in said if isinstance(part, str))
    message = masked(said) if isinstance(said, str) else None
    return Response(status=status, id=_scalar_id(_data(parsed).get("id")), message=message)


def _scalar_id(value: object) -> str | int | float | bool | None:
    if isinstance(value, str):
        return value if len(value) <= MAX_ID_CHARACTERS else None
    return value if isinstance(value, int | float) else None


def _with_item(response: Response, item: Mapping[str, Any], names: FieldNames) -> Response:
    told = _bounded_item(item, names)
    return Response(status=response.status, id=response.id, message=response.message, item=told)


def _bounded_item(item: Mapping[str, Any], names: FieldNames) -> Mapping[str, object]:
    """An item as it may be told: its scalars, masked.

    Phones are hidden whole, short ones too. Custom fields and everything else that is nested stay out, and so does
    what no longer fits.
    """
    phones = {names.phone_e164, names.phone_number, names.country_code}
    told: dict[str, object] = {}
    room = MAX_WORDS_BYTES
    for name, value in item.items():
        if isinstance(value, dict | list):
            continue
        shown = MASK if name in phones and value is not None else _masked_scalar(value)
        entry = {masked(name): shown}
        room -= len(orjson.dumps(entry))
        if room >= 0:
            told |= entry
    return told


def _masked_scalar(value: object) -> object:
    if isinstance(value, str):
        return masked(value)
    return MASK if masked(str(value)) != str(value) else value


# ------------------------------------------------------------------------------------------- who is named by an item


class Directory:
    """The members of one request by every name that the platform may call them by.

    Built only where an item has to be placed: it parses the contacts.
    """

    def __init__(self, members: Sequence[Event], names: FieldNames) -> None:
        self._names = names
        self._references: dict[str, set[int]] = {}
        self._phones: dict[str, set[int]] = {}
        self._codes: dict[str, set[int]] = {}
        for index, member in enumerate(members):
            contact = orjson.loads(member.contact)
            self._references.setdefault(member.external_reference, set()).add(index)
            for phone in _full_phones(contact, names) or _phones(contact, names):
                self._phones.setdefault(phone, set()).add(index)
            code = contact.get(names.external_code)
            if code is not None:
                self._codes.setdefault(code, set()).add(index)

    def named_by(self, item: object) -> set[int]:
        """The members that an item names.

        What it says narrows from field to field. A name that nobody here bears says nothing; names that contradict
        one another name all who bear one of them.
        """
        if not isinstance(item, dict):
            return set()
        said = [
            self._bearers(self._references, [_text(item.get(self._names.external_reference))]),
            self._bearers(self._phones, _phones(item, self._names)),
            self._bearers(self._codes, [_text(item.get(self._names.external_code))]),
        ]
        known = [bearers for bearers in said if bearers]
        if not known:
            return set()
        return set.intersection(*known) or set.union(*known)

    @staticmethod
    def _bearers(by_name: Mapping[str, set[int]], spellings: Sequence[str | None]) -> set[int]:
        found: set[int] = set()
        for spelling in spellings:
            if spelling is not None:
                found |= by_name.get(spelling, set())
        return found


def _text(value: object) -> str | None:
    """A name as text: platforms write numbers where they were given digits."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)


def _digits(value: object) -> str | None:
    """The digits of a phone in any spelling, without the `00` that stands for `+`."""
    text = _text(value)
    if text is None:
        return None
    digits = "".join(str(int(character)) for character in text if character.isdecimal())
    return digits.removeprefix("00") or None


def _full_phones(contact: Mapping[str, Any], names: FieldNames) -> list[str]:
    """The spellings that hold a country: they alone are compared where a contact has one."""
    e164 = _digits(contact.get(names.phone_e164))
    country, number = _digits(contact.get(names.country_code)), _digits(contact.get(names.phone_number))
    return [phone for phone in (e164, country + number if country and number else None) if phone]


def _phones(contact: Mapping[str, Any], names: FieldNames) -> list[str]:
    """Every spelling that a phone could have been meant by, as digits: with its country, and as it stands."""
    number = _digits(contact.get(names.phone_number))
    return [*_full_phones(contact, names), *([number] if number else [])]

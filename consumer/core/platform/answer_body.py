"""What the platform's words say about each contact of a request. Never settles anybody, never says what a status means.

An answer is read once per request. Without `data.errors` nothing is done per contact.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from consumer.core.event import Event
from consumer.core.outcome import Reason, Response
from consumer.core.person import spelled_out
from consumer.core.platform.masking import MASK, MAX_WORDS_BYTES, masked
from consumer.core.policy import WireNames

MAX_ID_CHARACTERS = 256
"""`data.id` is the platform's name for a send; what is longer than this is none."""

MOST_ITEMS_A_CONTACT = 4
FEWEST_ITEMS = 1_000
"""An item takes two microseconds, or twenty with a phone that is oddly spelled: so many of `data.errors` are looked at in any case. All others name nobody."""

MAX_PHONE_CHARACTERS = 64
"""A phone that is longer, whatever it is, is compared as it stands."""

NO_CONTENT = frozenset({204, 205})
"""Answers that have no body by definition: there is nothing that could not be read."""


class ReadAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted answer, read. A member is in `rejected`, or in `suspected`, or in neither."""

    response: Response
    """The words that everybody hears who is not rejected."""
    reason: Reason | None
    """Why those who are in neither list are accepted with a reservation."""
    rejected: Sequence[tuple[Event, Response]] = ()
    """Members that an item names, and nobody else with them: `contact_refused`, in these words."""
    suspected: Sequence[Event] = ()
    """Members that an item names together with others: accepted, `platform_reported_errors`."""


def read_accepted(body: bytes | None, status: int, members: Sequence[Event], names: WireNames) -> ReadAnswer:
    """Read the body of an accepted answer: who is rejected by an item of `data.errors`, and in which words."""
    parsed = _parsed(body)
    response = _response(status, parsed)
    if parsed is None and not (status in NO_CONTENT and body == b""):
        return ReadAnswer(response=response, reason=Reason.UNREADABLE_ANSWER)
    items = _items(parsed)
    if not items:
        return ReadAnswer(response=response, reason=None)
    return _placed(_looked_at(items, contacts=len(members)), response, members, names)


def read_refused(body: bytes | None, status: int) -> Response:
    """Read the body of any other answer: the platform's words about the request as a whole."""
    return _response(status, _parsed(body))


def read_refused_contact(body: bytes | None, status: int, member: Event, names: WireNames) -> Response:
    """Read the body of an answer that refuses a request's only contact, with the item that names it if there is one."""
    parsed = _parsed(body)
    response = _response(status, parsed)
    directory = RequestMembers((member,), names)
    named = (item for item in _looked_at(_items(parsed), contacts=1) if directory.named_by(item))
    return next((_with_item(response, item, names) for item in named), response)


def _placed(items: Sequence[Any], response: Response, members: Sequence[Event], names: WireNames) -> ReadAnswer:
    directory = RequestMembers(members, names)
    rejected: dict[int, Response] = {}
    suspected: set[int] = set()
    named_together: set[frozenset[int]] = set()
    for item in items:
        named = directory.named_by(item)
        if len(named) == 1:
            (index,) = named
            if index not in rejected:
                rejected[index] = _with_item(response, item, names)
            continue
        named_together.add(named)  # once, however many items say the same: a set knows its hash
    suspected.update(*named_together)
    return ReadAnswer(
        response=response,
        reason=Reason.PLATFORM_REPORTED_ERRORS if NOBODY in named_together else None,
        rejected=[(members[index], told) for index, told in sorted(rejected.items())],
        suspected=[members[index] for index in sorted(suspected - rejected.keys())],
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


def _looked_at(items: Sequence[Any], *, contacts: int) -> Sequence[Any]:
    """Bound the items of an answer: what is more than a platform has to say of so many contacts names nobody."""
    most = max(FEWEST_ITEMS, MOST_ITEMS_A_CONTACT * contacts)
    return items if len(items) <= most else [*items[:most], None]


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


def _with_item(response: Response, item: Mapping[str, Any], names: WireNames) -> Response:
    told = _bounded_item(item, names)
    return Response(status=response.status, id=response.id, message=response.message, item=told)


def _bounded_item(item: Mapping[str, Any], names: WireNames) -> Mapping[str, object]:
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


NOBODY: frozenset[int] = frozenset()


class RequestMembers:
    """The members of one request by every name that the platform may call them by.

    Built only where an item has to be placed: it parses the contacts. Whom names have in common is found out once:
    all members may share a name, and thousands of items may say it.
    """

    def __init__(self, members: Sequence[Event], names: WireNames) -> None:
        self._names = names
        self._in_common: dict[frozenset[frozenset[int]], frozenset[int]] = {}
        contacts = [orjson.loads(member.contact) for member in members]
        self._references = _by_name(member.external_reference for member in members)
        self._phones = _by_name(_phone(contact, names) for contact in contacts)
        self._bare_numbers = _by_name(_bare_number(contact, names) for contact in contacts)
        self._codes = _by_name(_text(contact.get(names.external_code)) for contact in contacts)

    def named_by(self, item: object) -> frozenset[int]:
        """The members that an item names.

        What it says narrows from field to field. A name that nobody here bears says nothing; names that contradict
        one another name all who bear one of them.
        """
        if not isinstance(item, dict):
            return NOBODY
        said = (
            _bearers(self._references, _text(item.get(self._names.external_reference))),
            _bearers(self._phones, _phone(item, self._names)) or self._by_bare_number(item),
            _bearers(self._codes, _text(item.get(self._names.external_code))),
        )
        known = frozenset(filter(None, said))
        if len(known) < 2:  # noqa: PLR2004 - one name, or several that name the same
            return next(iter(known), NOBODY)
        found = self._in_common.get(known)
        if found is None:
            found = self._in_common[known] = NOBODY.union(*known).intersection(*known) or NOBODY.union(*known)
        return found

    def _by_bare_number(self, item: Mapping[str, Any]) -> frozenset[int]:
        """A number that came without its country, or an international one without its plus."""
        number = _bare_number(item, self._names)
        return _bearers(self._bare_numbers, number) or _bearers(self._phones, number)


def _by_name(names: Iterable[str | None]) -> Mapping[str, frozenset[int]]:
    """Who bears each name, by their places in the request."""
    bearers: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if name is not None:
            bearers.setdefault(name, []).append(index)
    return {name: frozenset(indexes) for name, indexes in bearers.items()}


def _bearers(by_name: Mapping[str, frozenset[int]], name: str | None) -> frozenset[int]:
    return NOBODY if name is None else by_name.get(name, NOBODY)


def _text(value: object) -> str | None:
    """A name as text, None for an empty one: platforms write numbers where they were given digits."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def _phone(fields: Mapping[str, Any], names: WireNames) -> str | None:
    """The phone that the fields name, as digits in a comparable spelling; E.164 wins, as it does at the platform."""
    e164 = _text(fields.get(names.phone_e164))
    if e164 is not None:
        return _comparable(e164, None)
    number, country = _text(fields.get(names.phone_number)), _text(fields.get(names.country_code))
    return None if number is None else _comparable(number, country)


def _bare_number(fields: Mapping[str, Any], names: WireNames) -> str | None:
    number = _text(fields.get(names.phone_number))
    return None if number is None else _comparable(number, None)


def _comparable(number: str, country: str | None) -> str:
    if len(number) > MAX_PHONE_CHARACTERS:
        return number
    code = country.strip().lstrip("+") if country else None
    return spelled_out(number, code).removeprefix("+")

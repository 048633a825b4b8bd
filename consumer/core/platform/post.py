"""A request's body, and what its answer means: one table. Never sends, and never settles anybody.

What the platform's words say about single contacts stands in `answer_body.py`.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple, assert_never

import orjson

from consumer.core.event import GroupKey
from consumer.core.platform.answer import Answer, Answered, Lost, NoConnectionYet, Unreachable, Withheld
from consumer.core.policy import CampaignPolicy, Meaning, WireNames

# ------------------------------------------------------------------------------------------------ the request


def body(group: GroupKey, contacts: Sequence[bytes], names: WireNames) -> bytes:
    """The JSON of one request: `{"campaignId":7,<options>,"contacts":[...]}`, of fragments made at decode."""
    before, between = _frame(names.campaign_id, names.contacts)
    options = b"," + group.options if group.options else b""
    return b"%b%d%b%b%b]}" % (before, group.campaign_id, options, between, b",".join(contacts))


def overhead_bytes(group: GroupKey, names: WireNames) -> int:
    """Bytes of a body besides its contacts and the commas between them (one a contact, less one)."""
    return len(body(group, (), names))


@lru_cache(maxsize=8)
def _frame(campaign_id: str, contacts: str) -> tuple[bytes, bytes]:
    """What stands around the campaign, and before the contacts. By the two names alone: all of them take long to hash."""
    return b"{" + orjson.dumps(campaign_id) + b":", b"," + orjson.dumps(contacts) + b":["


# ------------------------------------------------------------------------------------------------- the answer


class Ruling(Enum):
    """What an answer says about its request."""

    __hash__ = object.__hash__  # the enumerations' own is a call of Python

    ACCEPTED = auto()
    """Every contact is accepted, save those that an item of the answer names."""
    HALVE = auto()
    """Refused, and more than one contact stands in the request: the refused ones must be found."""
    CONTACT_REFUSED = auto()
    """Refused for good because of its only contact."""
    CAMPAIGN_REFUSED = auto()
    """Refused for good, whoever stands in it."""
    ACCESS_REFUSED = auto()
    """Key, role, credit, proxy or address is wrong: nothing settles, dispatch stops."""
    NOT_DELIVERED = auto()
    """Surely not processed; another attempt counts against the budget of attempts."""
    NOT_DELIVERED_UNCOUNTED = auto()
    """Surely not processed, and not the request's fault: only its age bounds the attempts."""
    UNKNOWN_SERVER_ERROR = auto()
    """A gateway may speak for a platform that did send."""
    UNKNOWN_ANSWER_LOST = auto()
    """It may have been received; no complete head came back."""
    WITHHELD = auto()
    """It never started: the last look said no, or a deadline came before there was a connection."""


REFUSALS = frozenset({Ruling.HALVE, Ruling.CONTACT_REFUSED, Ruling.CAMPAIGN_REFUSED, Ruling.ACCESS_REFUSED})
"""What settles nothing before the first contact."""


class Row(NamedTuple):
    """One row of the table: the ruling for a request of one contact, and for one of several."""

    alone: Ruling
    several: Ruling


def _whoever(ruling: Ruling) -> Row:
    return Row(alone=ruling, several=ruling)


_ACCEPTED = _whoever(Ruling.ACCEPTED)
_CONTACT = Row(alone=Ruling.CONTACT_REFUSED, several=Ruling.HALVE)
_CAMPAIGN = _whoever(Ruling.CAMPAIGN_REFUSED)
_ACCESS = _whoever(Ruling.ACCESS_REFUSED)
_RETURNED = _whoever(Ruling.NOT_DELIVERED)
_THROTTLED = _whoever(Ruling.NOT_DELIVERED_UNCOUNTED)
_SERVER_ERROR = _whoever(Ruling.UNKNOWN_SERVER_ERROR)

BY_STATUS: Mapping[int, Row] = {
    400: _CONTACT,
    401: _ACCESS,
    402: _ACCESS,
    403: _ACCESS,
    407: _ACCESS,
    408: _RETURNED,
    413: Row(alone=Ruling.CAMPAIGN_REFUSED, several=Ruling.HALVE),  # one contact too large: no contact's fault
    421: _RETURNED,  # the connection leads to the wrong server: the transport has closed it
    422: _CONTACT,
    425: _RETURNED,
    429: _THROTTLED,
    503: _THROTTLED,
}
"""The statuses that do not follow their class."""

BY_CLASS: Mapping[int, Row] = {2: _ACCEPTED, 3: _ACCESS, 4: _CAMPAIGN, 5: _SERVER_ERROR}
"""All others, by their first digit."""

ODD = _SERVER_ERROR
"""A final 1xx, or a number that HTTP does not know: somebody answered, and nothing says what was done."""

REMAPPED: Mapping[Meaning, Row] = {
    Meaning.ACCEPTED: _ACCEPTED,
    Meaning.REFUSED: _CONTACT,
    Meaning.NOT_DELIVERED: _RETURNED,
    Meaning.UNKNOWN: _SERVER_ERROR,
}
"""What an operator's word for a status makes of it."""


def meaning(answer: Answer, policy: CampaignPolicy, *, contacts: int) -> Ruling:
    """What `answer` says about a request of so many `contacts`; the operator's word for its status goes first."""
    match answer:
        case Answered():
            row = _row(answer.status, policy.answers)
            return row.alone if contacts == 1 else row.several
        case Unreachable():
            return Ruling.NOT_DELIVERED_UNCOUNTED
        case Withheld() | NoConnectionYet():
            return Ruling.WITHHELD
        case Lost():
            return Ruling.UNKNOWN_ANSWER_LOST
        case _:
            assert_never(answer)


def _row(status: int, remapped: Mapping[int, Meaning]) -> Row:
    row = BY_STATUS.get(status) or BY_CLASS.get(status // 100, ODD)
    said = remapped.get(status)
    if said is None or (said is Meaning.NOT_DELIVERED and row is _THROTTLED):
        return row
    return REMAPPED[said]

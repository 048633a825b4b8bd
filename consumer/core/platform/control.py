"""Records of the control topic: what operators have said of campaigns. Values and their JSON; folds and decides nothing.

A record's key names what it is about, so that compaction keeps the last word on it. Nothing in them is personal.
Whatever bytes stand there, reading never fails: what is no record of ours is `UnreadableOrder`, and holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from consumer.core.terms import Instant
from schemas.contact_event import GREATEST_CAMPAIGN_ID
from schemas.instants import instant_of, text_of

HOLD: Final = "hold/"
CANCEL_CAMPAIGN: Final = "cancel/campaign/"
CANCEL_EVENT: Final = "cancel/event/"
ALL: Final = "all"
ALL_KEY: Final = f"{HOLD}{ALL}".encode()

MAX_TEXT_CHARACTERS: Final = 200
"""Of a reason, and of an operator's name."""

MAX_EVENT_ID_CHARACTERS: Final = 128


class ControlRecord(NamedTuple):
    """One record as it stands in the topic."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignHold:
    """No request of this campaign, or of any (None), starts until it is released."""

    campaign_id: int | None
    reject: bool
    """Whether its events settle `rejected`, `held`, and do not wait."""
    reason: str
    operator: str
    since: Instant
    """When this hold was given."""
    held_since: Instant
    """When requests were held first without a release since: a second hold goes on with the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A hold is over."""

    campaign_id: int | None
    reason: str | None
    operator: str
    at: Instant
    held_since: Instant | None
    """Since when it was held, where the operator's tool has seen a hold: that time counts as no trying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Whatever of this event or campaign was published before an instant and has not started does not go out."""

    event_id: str | None
    campaign_id: int | None
    reason: str
    operator: str
    before: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """A tombstone: nothing is said of this key any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableOrder:
    """A record that nobody can read: what it says may be a hold, so it is one."""

    campaign_id: int | None
    """The campaign that its key names; None where it names none, and everything is held."""
    why: str


Said = CampaignHold | Release | Cancellation | Forgotten | UnreadableOrder


class _NotReadError(ValueError):
    """What is wrong with a record, in words without any value of it."""


# ---------------------------------------------------------------- writing


def key_of(said: CampaignHold | Release | Cancellation) -> bytes:
    """Return what a record is about."""
    if isinstance(said, Cancellation):
        if said.event_id is not None:
            return f"{CANCEL_EVENT}{said.event_id}".encode()
        return f"{CANCEL_CAMPAIGN}{said.campaign_id}".encode()
    return f"{HOLD}{ALL if said.campaign_id is None else said.campaign_id}".encode()


def value_of(said: CampaignHold | Release | Cancellation) -> bytes:
    """Return a record's JSON."""
    fields: dict[str, object]
    match said:
        case CampaignHold():
            fields = {
                "kind": "hold",
                "campaignId": said.campaign_id,
                "reject": said.reject,
                "reason": said.reason,
                "operator": said.operator,
                "since": text_of(said.since),
                "heldSince": text_of(said.held_since),
            }
        case Release():
            fields = {
                "kind": "release",
                "campaignId": said.campaign_id,
                "reason": said.reason,
                "operator": said.operator,
                "at": text_of(said.at),
                "heldSince": None if said.held_since is None else text_of(said.held_since),
            }
        case Cancellation():
            fields = {
                "kind": "cancel",
                "eventId": said.event_id,
                "campaignId": said.campaign_id,
                "reason": said.reason,
                "operator": said.operator,
                "before": text_of(said.before),
            }
    return orjson.dumps(fields)


# ---------------------------------------------------------------- reading


def said_by(record: ControlRecord) -> Said:
    """Return what a record says; `UnreadableOrder` where it is none of ours."""
    key = record.key or b""
    if record.value is None and record.key is not None:
        return Forgotten()
    try:
        fields = orjson.loads(record.value or b"")
        if type(fields) is not dict:
            raise _NotReadError("no JSON object")  # one way out for all that is wrong
        said = _said(fields)
        if key_of(said) != key:
            raise _NotReadError("it is about something else than its key")  # see above
    except orjson.JSONDecodeError:
        return UnreadableOrder(campaign_id=campaign_in(key, HOLD), why="no JSON")
    except KeyError as error:
        return UnreadableOrder(campaign_id=campaign_in(key, HOLD), why=f"{error.args[0]} is missing")
    except (TypeError, ValueError) as error:
        why = str(error) if isinstance(error, _NotReadError) else "a value has another shape"
        return UnreadableOrder(campaign_id=campaign_in(key, HOLD), why=why)
    return said


def campaign_in(key: bytes, prefix: str) -> int | None:
    """Return the campaign that a key names behind its prefix: what is written under it can be about no other."""
    number = key.removeprefix(prefix.encode())
    if number == key or not number.isdigit() or len(number) > len(str(GREATEST_CAMPAIGN_ID)):
        return None
    campaign_id = int(number)
    return campaign_id if 1 <= campaign_id <= GREATEST_CAMPAIGN_ID and str(campaign_id).encode() == number else None


def _said(fields: Mapping[str, Any]) -> CampaignHold | Release | Cancellation:
    match fields["kind"]:
        case "hold":
            since = _instant(fields["since"])
            return CampaignHold(
                campaign_id=_campaign(fields["campaignId"]),
                reject=_flag(fields["reject"]),
                reason=_text(fields["reason"]),
                operator=_text(fields["operator"]),
                since=since,
                held_since=_instant(fields.get("heldSince", fields["since"])),
            )
        case "release":
            held_since = fields.get("heldSince")
            reason = fields.get("reason")
            return Release(
                campaign_id=_campaign(fields["campaignId"]),
                reason=None if reason is None else _text(reason),
                operator=_text(fields["operator"]),
                at=_instant(fields["at"]),
                held_since=None if held_since is None else _instant(held_since),
            )
        case "cancel":
            event_id, campaign_id = fields["eventId"], _campaign(fields["campaignId"])
            if (event_id is None) is (campaign_id is None):
                raise _NotReadError("a cancellation is of an event or of a campaign")
            return Cancellation(
                event_id=None if event_id is None else _text(event_id),
                campaign_id=campaign_id,
                reason=_text(fields["reason"]),
                operator=_text(fields["operator"]),
                before=_instant(fields["before"]),
            )
        case _:
            raise _NotReadError("of an unknown kind")


def _campaign(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= GREATEST_CAMPAIGN_ID:
        raise _NotReadError("campaignId is no campaign's ID")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise _NotReadError("neither true nor false where one stands")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _NotReadError("no text where one stands")
    return value


def _instant(value: Any) -> Instant:
    return Instant(instant_of(_text(value)))

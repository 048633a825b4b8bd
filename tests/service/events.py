"""Events as tests publish them: a campaign, a person, and what is special. Never publishes any."""

import itertools
from collections.abc import Sequence

import orjson

from consumer.edge.clock import SystemClock
from consumer.traffic.generator import rfc3339
from consumer.traffic.people import COUNTRY_CODE, Person
from tests.support.records import Written

_numbers = itertools.count(1)


def ago(seconds: float) -> str:
    """An instant so long before now, as events write it; negative for one to come."""
    return rfc3339(SystemClock().now().wall - seconds)


def phone(number: int) -> str:
    """The E.164 phone of the n-th made-up person."""
    return f"+{COUNTRY_CODE}{Person(number).national_number}"


def event(campaign: int, person: int | dict[str, object], **fields: object) -> dict[str, object]:
    """An event for a campaign and a person, or a contact spelled out; `fields` are added, or win.

    Its ID is one of its own, and its external reference is its ID, so that the platform's records name it.
    """
    return {
        "eventId": f"e-{campaign}-{next(_numbers)}",
        "eventType": "order.shipped",
        "occurredAt": ago(0.0),
        "campaignId": campaign,
        "contact": {"phoneE164": phone(person)} if isinstance(person, int) else person,
        **fields,
    }


def urgent(campaign: int, person: int | dict[str, object], **fields: object) -> dict[str, object]:
    """The same, and it waits for no company."""
    return event(campaign, person, priority="immediate", **fields)


def written(
    content: dict[str, object] | bytes | None,
    *,
    partition: int = 0,
    key: bytes | None = b"customer-7",
    headers: Sequence[tuple[str, bytes]] = (),
) -> Written:
    """A record with this event, or with these very bytes."""
    value = orjson.dumps(content) if isinstance(content, dict) else content
    return Written(value=value, key=key, partition=partition, headers=headers)


def id_of(content: dict[str, object]) -> str:
    """Its event ID, which is its external reference as well."""
    return str(content["eventId"])

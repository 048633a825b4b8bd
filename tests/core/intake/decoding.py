"""Single records through the real decoder, as the tests of decoding ask it. Expects nothing of its own."""

from collections.abc import Sequence
from typing import Any

import msgspec

from consumer.core.event import Decoded, Event, Invalid
from consumer.core.intake.decode import Decoder
from consumer.core.policy import Policies, WireNames
from tests.core.intake.wild_events import NOW, PARTITION, WildRecord, json_bytes

SCHEDULING = Policies(field_names=WireNames(scheduled_at="scheduleAt"))


def decoded(record: WildRecord, policies: Policies = SCHEDULING) -> Decoded:
    [one] = Decoder(policies).batch(PARTITION, [record], NOW)
    return one


def event_of(document: object, policies: Policies = SCHEDULING, headers: Sequence[tuple[str, bytes]] = ()) -> Event:
    one = decoded(WildRecord(value=json_bytes(document), headers=headers), policies)
    assert isinstance(one, Event), one.detail
    return one


def invalid_of(document: object, policies: Policies = SCHEDULING, headers: Sequence[tuple[str, bytes]] = ()) -> Invalid:
    value = document if isinstance(document, bytes) else json_bytes(document)
    one = decoded(WildRecord(value=value, headers=headers), policies)
    assert isinstance(one, Invalid), one
    return one


def fields_of(one: Decoded) -> dict[str, Any]:
    return {"kind": type(one)} | msgspec.structs.asdict(one)

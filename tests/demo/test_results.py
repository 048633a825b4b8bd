"""What the demo's judge takes from a result."""

import orjson

from consumer.demo.arithmetic import RecordPlace
from consumer.demo.results import seen_result

RESULT = {
    "resultId": "5a1d9f0c3be2774801a6e4d2c90b8f37",
    "eventId": "e-1",
    "status": "accepted",
    "reason": None,
    "attempts": 2,
    "externalReference": "order-1",
    "possibleDuplicate": True,
    "occurredAt": "2026-11-24T15:40:19Z",
    "completedAt": "2026-11-24T15:40:21.432Z",
    "source": {"topic": "contact-events", "partition": 3, "offset": 1842},
}


def test_everything_that_the_arithmetic_asks_for_is_read() -> None:
    seen = seen_result(orjson.dumps(RESULT))
    assert (seen.result_id, seen.place) == (RESULT["resultId"], RecordPlace(3, 1842))
    assert (seen.status, seen.reason, seen.attempts, seen.possible_duplicate) == ("accepted", None, 2, True)
    assert seen.external_reference == "order-1"
    assert seen.occurred_at is not None
    assert round(seen.completed_at - seen.occurred_at, 3) == 2.432


def test_the_same_content_in_another_order_has_the_same_fingerprint() -> None:
    turned = dict(reversed(RESULT.items()))
    assert seen_result(orjson.dumps(turned)).fingerprint == seen_result(orjson.dumps(RESULT)).fingerprint


def test_any_change_changes_the_fingerprint() -> None:
    changed = RESULT | {"source": {"topic": "contact-events", "partition": 3, "offset": 1843}}
    assert seen_result(orjson.dumps(changed)).fingerprint != seen_result(orjson.dumps(RESULT)).fingerprint


def test_an_invalid_record_may_have_no_instant_or_none_that_is_one() -> None:
    for odd in (None, "yesterday"):
        assert seen_result(orjson.dumps(RESULT | {"occurredAt": odd})).occurred_at is None

"""Results and dead letters: exactly the contract's shape, and always the same bytes for the same record and verdict."""

import copy
import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from consumer.core.event import Decoded, Event, Invalid, Record, UnreadableRecord
from consumer.core.intake.decode import Decoder
from consumer.core.outcome import Reason, Related, Response, Status, Verdict
from consumer.core.policy import Policies
from consumer.core.results.dead_letter import dead_letter
from consumer.core.results.result import result_value, results
from consumer.core.terms import Instant, Partition, SendId
from schemas.dead_letter import DeadLetterHeaders
from schemas.json_schema import json_schema
from schemas.send_result import SendResult
from tests.core.intake.wild_events import (
    NOW,
    PARTITION,
    VALID_EVENTS,
    WildRecord,
    broken_texts,
    json_bytes,
    plain_event,
)

RESULT_SCHEMA = Draft202012Validator(json_schema("result"), format_checker=Draft202012Validator.FORMAT_CHECKER)
INSTANTS = st.integers(0, 4_000_000_000_000).map(lambda milliseconds: Instant(milliseconds / 1000))
WORDS = st.text(max_size=20) | st.just("100 % of %d, %%b")
VERDICTS = st.builds(
    Verdict,
    status=st.sampled_from(Status),
    reason=st.none() | st.sampled_from(Reason),
    send_id=st.none() | WORDS.map(SendId),
    attempts=st.integers(0, 50),
    possible_duplicate=st.booleans(),
    related=st.none()
    | st.builds(Related, event_id=WORDS, partition=st.integers(0, 99), offset=st.integers(0, 2**56 - 1)),
    detail=st.none() | WORDS,
    dispatched_at=st.none() | INSTANTS,
    completed_at=INSTANTS,
    response=st.none()
    | st.builds(
        Response,
        status=st.integers(100, 599),
        id=st.none() | WORDS | st.integers(-(2**63), 2**63 - 1) | st.booleans(),
        message=st.none() | WORDS,
        item=st.none() | st.dictionaries(WORDS, WORDS | st.integers(0, 9), max_size=2),
    ),
)
HEADERS = st.sampled_from([[], [("resend-id", b"again-1")], [("resend-id", b"r"), ("resend-reason", b'say "why"')]])
RECORDS = st.builds(
    lambda value, headers, offset: WildRecord(value=value, headers=headers, offset=offset),
    VALID_EVENTS.map(json_bytes) | broken_texts(),
    HEADERS,
    st.integers(0, 2**56 - 1),
)
ACCEPTED = Verdict(status=Status.ACCEPTED, completed_at=Instant(1_795_534_820.0006), attempts=1)


def decoded(*records: Record, partition: Partition = PARTITION) -> list[Decoded]:
    return Decoder(Policies()).batch(partition, records, NOW)


def result_of(record: WildRecord, verdict: Verdict = ACCEPTED, partition: Partition = PARTITION) -> dict[str, Any]:
    [one] = decoded(record, partition=partition)
    result: dict[str, Any] = orjson.loads(result_value(one, verdict))
    return result


@given(RECORDS, VERDICTS)
def test_every_result_keeps_the_published_schema(record: WildRecord, verdict: Verdict) -> None:
    result = result_of(record, verdict)
    RESULT_SCHEMA.validate(result)
    SendResult.model_validate(result)


@given(RECORDS, VERDICTS)
def test_built_twice_from_record_and_verdict_a_result_is_the_same_bytes(record: WildRecord, verdict: Verdict) -> None:
    [one], [again] = decoded(record), decoded(record)
    assert result_value(one, verdict) == result_value(again, copy.deepcopy(verdict))


@given(st.lists(RECORDS, max_size=6), VERDICTS)
def test_results_built_together_are_those_built_alone(records: list[WildRecord], verdict: Verdict) -> None:
    events = [one for one in decoded(*records) if isinstance(one, Event)]
    for number, event in enumerate(events):
        event.received_at = Instant(NOW.wall + number // 2)
    assert results(events, verdict) == [result_value(event, verdict) for event in events]


@given(VALID_EVENTS, VERDICTS, HEADERS)
def test_a_result_says_what_record_and_verdict_say(
    document: dict[str, Any], verdict: Verdict, headers: list[tuple[str, bytes]]
) -> None:
    [event] = decoded(WildRecord(value=json_bytes(document), headers=headers))
    assert isinstance(event, Event)
    result = orjson.loads(result_value(event, verdict))
    assert (result["eventId"], result["eventType"], result["campaignId"], result["occurredAt"]) == (
        document["eventId"], document["eventType"], document["campaignId"], document["occurredAt"],
    )  # fmt: skip
    assert (result["externalReference"], result["resendId"], result["resendReason"]) == (
        event.external_reference, event.resend.id, event.resend.reason,
    )  # fmt: skip
    assert (result["status"], result["reason"], result["sendId"], result["attempts"]) == (
        verdict.status, verdict.reason, verdict.send_id, verdict.attempts,
    )  # fmt: skip
    assert result["possibleDuplicate"] is verdict.possible_duplicate
    assert result["source"] == {"topic": "contact-events", "partition": 3, "offset": 1842}
    assert result["detail"] == verdict.detail
    for name, value in (("related", verdict.related), ("response", verdict.response)):
        assert (result[name] is None) == (value is None)
    if verdict.response is not None:
        assert result["response"] == {
            "status": verdict.response.status, "id": verdict.response.id, "message": verdict.response.message,
            "item": verdict.response.item,
        }  # fmt: skip
    if verdict.related is not None:
        assert result["related"] == {
            "eventId": verdict.related.event_id, "partition": verdict.related.partition, "offset": verdict.related.offset,
        }  # fmt: skip


def test_a_result_has_exactly_the_contracts_members_in_its_order() -> None:
    assert list(result_of(WildRecord(value=json_bytes(plain_event())))) == [
        "resultId", "eventId", "eventType", "campaignId", "status", "reason", "sendId", "attempts", "externalReference",
        "resendId", "resendReason", "possibleDuplicate", "related", "detail", "occurredAt", "receivedAt", "dispatchedAt",
        "completedAt", "source", "response",
    ]  # fmt: skip


def test_instants_are_written_in_utc_to_the_millisecond() -> None:
    result = result_of(WildRecord(value=json_bytes(plain_event(occurredAt="2026-11-24T16:40:19+01:00"))))
    assert result["receivedAt"] == "2026-11-24T15:40:19.250Z"
    assert result["completedAt"] == "2026-11-24T15:40:20.001Z"
    assert result["occurredAt"] == "2026-11-24T16:40:19+01:00"


def test_an_instant_rounded_to_the_millisecond_before_gives_the_same_result() -> None:
    [event] = decoded(WildRecord(value=json_bytes(plain_event())))
    rounded = Verdict(status=Status.ACCEPTED, completed_at=Instant(round(1_795_534_820.0006, 3)), attempts=1)
    assert result_value(event, rounded) == result_value(event, ACCEPTED)


PLACES = st.tuples(st.sampled_from(["contact-events", "events-b"]), st.integers(0, 999), st.integers(0, 2**56 - 1))


@given(st.lists(PLACES, max_size=20, unique=True))
def test_every_place_of_a_record_has_a_result_id_of_its_own(places: list[tuple[str, int, int]]) -> None:
    ids = [
        result_of(WildRecord(value=b"", offset=offset), partition=Partition(topic, number))["resultId"]
        for topic, number, offset in places
    ]
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)
    assert len(set(ids)) == len(places)


def test_a_result_id_never_changes_between_versions() -> None:
    assert result_of(WildRecord(value=b""))["resultId"] == "85e20dd8876f00000300000000000732"


@given(VALID_EVENTS, VERDICTS)
def test_no_phone_and_no_custom_field_reaches_a_result(document: dict[str, Any], verdict: Verdict) -> None:
    contact = {"phoneE164": "+34600555444", "phoneNumber": "600 555 444", "customFields": {"pin": "secret-pin"}}
    value = result_of(WildRecord(value=json_bytes(document | {"contact": contact})), verdict)
    text = orjson.dumps(value)
    assert b"600555444" not in text
    assert b"600 555 444" not in text
    assert b"secret-pin" not in text


# ---------------------------------------------------------------- dead letters


def letter_of(record: Invalid, max_bytes: int = 1_000_000) -> tuple[bytes | None, bytes | None, dict[str, bytes]]:
    letter = dead_letter(record, max_bytes=max_bytes)
    return letter.key, letter.value, dict(letter.headers)


def invalid(value: bytes | None, headers: list[tuple[str, bytes]] | None = None) -> Invalid:
    [one] = decoded(WildRecord(value=value, headers=headers or []))
    assert isinstance(one, Invalid)
    return one


def test_a_dead_letter_is_the_record_and_says_why() -> None:
    key, value, headers = letter_of(invalid(b"\xff", [("traceparent", b"00"), ("raw", b"\xff")]))
    assert (key, value) == (b"customer-1", b"\xff")
    assert headers == {
        "traceparent": b"00", "raw": b"\xff", "dlq-reason": b"not_utf8", "dlq-detail": b"not UTF-8 at byte 0",
        "dlq-topic": b"contact-events", "dlq-partition": b"3", "dlq-offset": b"1842", "dlq-timestamp": b"1795534819000",
    }  # fmt: skip


def test_of_a_record_that_cannot_be_read_the_result_says_so_and_the_dead_letter_is_cut() -> None:
    [one] = decoded(UnreadableRecord(offset=7, why="a batch's checksum is wrong"))
    assert isinstance(one, Invalid)
    assert (one.offset, one.reason, one.event_id) == (7, Reason.NOT_JSON, None)
    key, value, headers = letter_of(one)
    assert (key, value) == (None, None)
    assert headers["dlq-detail"] == b"the record cannot be read: a batch's checksum is wrong"
    assert headers["dlq-truncated"] == b"all of the record, which cannot be read"
    DeadLetterHeaders.model_validate({name: text.decode() for name, text in headers.items()})


def test_a_dead_letter_keeps_a_header_without_a_value() -> None:
    headers: Any = [("raw", None)]
    assert letter_of(invalid(b"", headers))[2]["raw"] is None


def test_a_dead_letter_that_fails_again_tells_only_its_last_reason() -> None:
    _, _, headers = letter_of(invalid(None, [("dlq-reason", b"schema"), ("dlq-truncated", b"value of 9 bytes")]))
    assert headers["dlq-reason"] == b"tombstone"
    assert "dlq-truncated" not in headers


@pytest.mark.parametrize(
    "key, value, brought, left_out",
    [
        (10, 5_000, 10, "value of 5000 bytes"),
        (10, 900, 5_000, "headers of 5014 bytes"),
        (5_000, 900, 10, "key of 5000 bytes"),
        (10, 5_000, 4_000, "value of 5000 bytes, headers of 4014 bytes"),
        (10, 100, 10, None),
    ],
)
def test_what_no_longer_fits_is_left_out_and_said(key: int, value: int, brought: int, left_out: str | None) -> None:
    record = invalid(b"x" * value, [("blob", b"h" * brought)])
    record.key = b"k" * key
    kept_key, kept_value, headers = letter_of(record, max_bytes=2_000)
    assert headers.get("dlq-truncated", b"").decode() == (left_out or "")
    assert (kept_key is None, kept_value is None, "blob" not in headers) == tuple(
        f"{name} of" in (left_out or "") for name in ("key", "value", "headers")
    )


@given(broken_texts() | st.binary(), st.integers(600, 3_000))
def test_a_dead_letter_always_fits_and_keeps_the_published_schema(value: bytes, max_bytes: int) -> None:
    [record] = decoded(WildRecord(value=value, headers=[("x", value)]))
    if isinstance(record, Invalid):
        record.detail = record.detail[:100]
        key, kept, headers = letter_of(record, max_bytes)
        size = len(key or b"") + len(kept or b"") + sum(len(name) + len(text) for name, text in headers.items())
        assert size <= max_bytes
        told = {name: text.decode() for name, text in headers.items() if name.startswith("dlq-")}
        DeadLetterHeaders.model_validate(told)
        Draft202012Validator(json_schema("dead-letter")).validate(told)

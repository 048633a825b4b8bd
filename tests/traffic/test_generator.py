"""Generated traffic: the same for the same seed, and with everything in it that a real topic holds."""

import re
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import orjson
import pytest

from consumer.traffic.bulk import generate_bulk
from consumer.traffic.generator import generate
from consumer.traffic.record import GeneratedRecord, RecordKind

NOW = 1_795_000_000.0
RECORDS = list(generate(count=10_000, seed=7, now=NOW, per_second=1_000.0))
VALID = [record for record in RECORDS if record.kind.invalid_reason is None]


def event_of(record: GeneratedRecord) -> dict[str, Any]:
    assert record.value is not None
    event: dict[str, Any] = orjson.loads(record.value)
    return event


def phone_of(contact: dict[str, Any]) -> str:
    """Bring the spellings together the way the domain says: separators away, `00` is `+`, code and number joined."""
    written = contact.get("phoneE164") or contact["phoneNumber"]
    digits = re.sub(r"[ -]", "", written)
    if digits.startswith("00"):
        return "+" + digits[2:]
    return str(digits) if digits.startswith("+") else f"+{contact['countryCode']}{digits}"


def test_one_seed_gives_the_same_bytes_every_time() -> None:
    again = list(generate(count=10_000, seed=7, now=NOW, per_second=1_000.0))
    assert again == RECORDS


def test_another_seed_gives_other_events() -> None:
    other = list(generate(count=100, seed=8, now=NOW))
    assert [record.value for record in other] != [record.value for record in RECORDS[:100]]


def test_a_shorter_run_holds_every_kind_of_traffic() -> None:
    assert {record.kind for record in generate(count=2_000, seed=1, now=NOW)} == set(RecordKind)


def test_most_of_the_traffic_is_the_bulk_campaign_and_little_of_it_is_broken() -> None:
    kinds = Counter(record.kind for record in RECORDS)
    assert kinds[RecordKind.BULK] == pytest.approx(6_000, rel=0.1)
    assert 40 < sum(kinds[kind] for kind in RecordKind if kind.invalid_reason) < 160
    assert 40 < kinds[RecordKind.REPEATED] < 160


def test_every_one_time_password_is_immediate_and_lives_for_five_minutes() -> None:
    passwords = [event_of(record) for record in RECORDS if record.kind is RecordKind.ONE_TIME_PASSWORD]
    assert all(event["priority"] == "immediate" for event in passwords)
    assert all(event["expiresAt"][14:16] != event["occurredAt"][14:16] for event in passwords)
    assert {(int(event["expiresAt"][14:16]) - int(event["occurredAt"][14:16])) % 60 for event in passwords} == {5}


def test_an_event_says_it_occurred_when_it_is_due() -> None:
    assert all(
        later.occurred_at - sooner.occurred_at == pytest.approx(0.001, abs=1e-6) for sooner, later in pairwise(RECORDS)
    )
    assert event_of(VALID[0])["occurredAt"].startswith("2026-11-18T")


def test_event_ids_are_unique_save_where_a_producer_repeats_itself() -> None:
    fresh = [event_of(record)["eventId"] for record in VALID if record.kind is not RecordKind.REPEATED]
    repeated = [event_of(record)["eventId"] for record in VALID if record.kind is RecordKind.REPEATED]
    assert len(set(fresh)) == len(fresh)
    assert set(repeated) <= set(fresh)


def test_a_repeat_is_the_first_one_byte_for_byte_under_the_same_key() -> None:
    published = {(record.key, record.value) for record in VALID if record.kind is not RecordKind.REPEATED}
    assert all((record.key, record.value) in published for record in VALID if record.kind is RecordKind.REPEATED)


def test_external_references_tell_all_events_apart() -> None:
    fresh = [
        event_of(record)["contact"]["externalReference"] for record in VALID if record.kind is not RecordKind.REPEATED
    ]
    assert len(set(fresh)) == len(fresh)


def test_one_person_has_one_key_however_the_phone_is_spelled() -> None:
    keys: dict[str, set[bytes | None]] = defaultdict(set)
    for record in VALID:
        keys[phone_of(event_of(record)["contact"])].add(record.key)
    assert all(len(of_person) == 1 for of_person in keys.values())


def test_now_and_then_a_person_gets_two_messages_of_one_campaign() -> None:
    events: dict[tuple[int, str], set[str]] = defaultdict(set)
    spellings: dict[tuple[int, str], set[str]] = defaultdict(set)
    for record in VALID:
        event = event_of(record)
        contact = event["contact"]
        person = (event["campaignId"], phone_of(contact))
        events[person].add(event["eventId"])
        spellings[person].add(contact.get("phoneE164") or contact["phoneNumber"])
    twice = [person for person, ids in events.items() if len(ids) > 1]
    assert len(twice) > 50
    assert any(len(spellings[person]) > 1 for person in twice)


def test_no_number_can_be_anybodys() -> None:
    assert all(phone_of(event_of(record)["contact"]).startswith("+9996") for record in VALID)


def test_some_events_carry_options_for_their_whole_send() -> None:
    options = [event_of(record).get("send", {}) for record in VALID]
    assert {name for of_event in options for name in of_event} == {"flash", "originData", "scheduledAt"}


def test_fifty_invalid_records_hold_every_reason_a_producer_can_cause() -> None:
    reasons = {record.kind.invalid_reason for record in RECORDS if record.kind.invalid_reason}
    assert reasons == {"not_json", "not_utf8", "not_an_object", "schema", "tombstone"}


def test_invalid_records_are_what_they_are_called() -> None:
    of_kind = {record.kind: record for record in RECORDS}
    assert of_kind[RecordKind.INVALID_TOMBSTONE].value is None
    with pytest.raises(UnicodeDecodeError):
        (of_kind[RecordKind.INVALID_NOT_UTF8].value or b"").decode()
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads((of_kind[RecordKind.INVALID_NOT_JSON].value or b"").decode())
    assert isinstance(orjson.loads(of_kind[RecordKind.INVALID_NOT_AN_OBJECT].value or b""), list)


def test_bulk_events_are_about_400_bytes_and_spread_evenly_over_their_campaigns() -> None:
    records = list(generate_bulk(count=2_000, seed=1, now=NOW, campaigns=20, immediate=frozenset({5})))
    assert 380 <= sum(len(record.value or b"") for record in records) / len(records) <= 440
    assert set(Counter(event_of(record)["campaignId"] for record in records).values()) == {100}
    assert [index for index, record in enumerate(records) if event_of(record).get("priority")] == [5]
    assert len({event_of(record)["eventId"] for record in records}) == 2_000

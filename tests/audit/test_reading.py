"""What the audit reads in records: whose event, whichever envelope; and entries and results that are none."""

from typing import Any

import orjson
import pytest

from consumer.audit.entries import AuditedClaim, NotAnEntryError, read_entry
from consumer.audit.reading import DeduplicationIds, Headers, NotAResultError, dead_letter_of, event_of, result_of
from tests.audit.fabricated import NOW, Rec, Verdict, World, settled

EVENT = orjson.dumps({"eventId": "e-1", "expiresAt": "2026-09-21T14:13:21.5Z"})
BARE = b'{"campaignId": 7}'
STRUCTURED = ("Content-Type", b"application/cloudevents+json; charset=utf-8")
BINARY: Headers = [("ce_specversion", b"1.0"), ("ce_id", b"ce-1")]


@pytest.mark.parametrize(
    "value, headers, identity",
    [
        (EVENT, [], DeduplicationIds("e-1", None)),
        (b"\0\0\0\0\7" + EVENT, [], DeduplicationIds("e-1", None)),
        (EVENT, [("Resend-Id", b"r-1")], DeduplicationIds("e-1", "r-1")),
        (EVENT, BINARY, DeduplicationIds("e-1", None)),
        (BARE, BINARY, DeduplicationIds("ce-1", None)),
        (BARE, [("CE_SpecVersion", b"1.0"), ("CE_ID", b"ce-1")], DeduplicationIds("ce-1", None)),
        (orjson.dumps({"id": "ce-1", "data": orjson.loads(EVENT)}), [STRUCTURED], DeduplicationIds("e-1", None)),
        (orjson.dumps({"id": "ce-1", "data": {}}), [STRUCTURED], DeduplicationIds("ce-1", None)),
        (orjson.dumps({"id": "ce-1", "data": {}}), [], None),
        (BARE, [], None),
        (b"[1]", [], None),
        (b"[1]", [STRUCTURED], None),
        (b"no event", [], None),
        (None, [], None),
        (EVENT, [("resend-id", b"\xff")], None),
    ],
)
def test_an_event_is_known_by_its_ids_and_by_nothing_that_is_not_certain(
    value: bytes | None, headers: Headers, identity: DeduplicationIds | None
) -> None:
    assert event_of(Rec(offset=0, value=value, headers=headers)).identity == identity


def test_a_deadline_is_read_to_the_millisecond_and_only_where_it_is_one() -> None:
    assert event_of(Rec(offset=0, value=EVENT)).expires_ms == round(NOW * 1000) + 1_500
    for odd in (b'{"expiresAt": "soon"}', b'{"expiresAt": 7}', BARE):
        assert event_of(Rec(offset=0, value=odd)).expires_ms == 0


def test_the_deadline_of_a_resend_goes_before_the_events_own() -> None:
    later, soon = ("Resend-Expires-At", b"2026-09-21T14:13:22Z"), ("resend-expires-at", b"soon")
    resent = ("resend-id", b"r-1")
    for value in (EVENT, orjson.dumps({"eventId": "e-1"})):
        assert event_of(Rec(offset=0, value=value, headers=[resent, later])).expires_ms == round(NOW * 1000) + 2_000
    assert event_of(Rec(offset=0, value=EVENT, headers=[later])).expires_ms == round(NOW * 1000) + 1_500
    assert event_of(Rec(offset=0, value=EVENT, headers=[resent, soon])) == (DeduplicationIds("e-1", "r-1"), 0)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        b"",
        b"7",
        b"{}",
        b'{"kind": "intent", "at": 5}',
        b'{"kind": "claim"}',
        orjson.dumps({"kind": "outcome", "at": 5, "send": None, "settled": [{"offsets": [1]}]}),
        b'{"kind": "segment", "at": 5, "width": 0, "above": "", "fingerprints": "", "base": 0}',
    ],
)
def test_what_is_no_entry_is_said_to_be_none(entry: bytes | None) -> None:
    with pytest.raises(NotAnEntryError):
        read_entry(5, entry)


def test_an_outcome_must_say_of_each_record_when_it_was_received() -> None:
    item = {**settled(Verdict(), [1, 2]), "received": [[NOW, 1]]}

    with pytest.raises(NotAnEntryError):
        read_entry(5, orjson.dumps({"kind": "outcome", "at": 5, "send": None, "settled": [item]}))


def test_a_claim_counts_wherever_it_stands_and_nothing_else_does() -> None:
    assert read_entry(5, b'{"kind": "claim", "at": 0, "group": "g"}') == AuditedClaim("g")
    assert read_entry(5, b'{"kind": "returned", "at": 4, "send": "s", "attempt": 1, "started": true}') is None


@pytest.mark.parametrize(
    "forged, said",
    [
        ({"status": "fine"}, "status"),
        ({"source": {"topic": "t", "partition": -1, "offset": 0}}, "source.partition"),
        ({"completedAt": "+34600111222"}, "completedAt"),
    ],
)
def test_what_is_no_result_is_named_by_its_fields_never_by_their_values(forged: dict[str, Any], said: str) -> None:
    world = World()
    world.settle(Verdict(), world.event())

    with pytest.raises(NotAResultError) as caught:
        result_of(orjson.dumps(world.result(0, **forged)))
    assert str(caught.value) == said


def test_a_record_without_the_headers_of_a_dead_letter_is_none() -> None:
    assert dead_letter_of([]) is None
    assert (
        dead_letter_of([("dlq-topic", b"t"), ("dlq-partition", b"x"), ("dlq-offset", b"1"), ("dlq-reason", b"r")])
        is None
    )

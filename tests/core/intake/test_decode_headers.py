"""Record headers: those that do not concern us cost nothing and change nothing."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Event
from consumer.core.intake.decode import Decoder
from consumer.core.policy import Policies
from tests.core.intake.decoding import decoded, event_of, fields_of
from tests.core.intake.wild_events import NOW, PARTITION, VALID_EVENTS, WildRecord, json_bytes, plain_event

TRACING = [("traceparent", b"00-1-2-01"), ("tracestate", b"x=y"), ("b3", b"0"), ("X-Request-ID", b"7")]
OURS = ("ce_specversion", "ce_id", "content-type", "resend-id", "resend-reason", "resend-expires-at")


def ways_of(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[tuple[str, bytes]]]:
    """The headers of the records that go through decoding the long way, from now on."""
    long_way: list[Sequence[tuple[str, bytes]]] = []
    unusual = Decoder._unusual  # noqa: SLF001 - which way a record takes is what is tried here

    def watched(self: Decoder, partition: Any, record: Any, now: Any) -> Any:
        long_way.append(record.headers)
        return unusual(self, partition, record, now)

    monkeypatch.setattr(Decoder, "_unusual", watched)
    return long_way


def test_headers_of_tracing_do_not_make_a_record_unusual(monkeypatch: pytest.MonkeyPatch) -> None:
    long_way = ways_of(monkeypatch)
    headers = [TRACING[:number] for number in range(5)] + [[("resend-operator", b"ana")], [("ce_traceparent", b"1")]]
    records = [WildRecord(value=json_bytes(plain_event()), headers=each) for each in headers]
    assert all(isinstance(one, Event) for one in Decoder(Policies()).batch(PARTITION, records, NOW))
    assert long_way == []


@pytest.mark.parametrize("name", [*OURS, "Resend-ID", "CE_SpecVersion", "Content-Type"])
def test_headers_that_concern_us_do_wherever_they_stand(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    long_way = ways_of(monkeypatch)
    headers = [*TRACING, (name, b"1.0"), *TRACING]
    decoder = Decoder(Policies())
    for _ in range(2):
        decoder.batch(PARTITION, [WildRecord(value=json_bytes(plain_event()), headers=headers)], NOW)
    assert long_way == [headers, headers]


@given(VALID_EVENTS, st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=3)), max_size=4))
def test_headers_that_do_not_concern_us_change_nothing(document: dict[str, Any], headers: list[Any]) -> None:
    bare = decoded(WildRecord(value=json_bytes(document)))
    assert fields_of(decoded(WildRecord(value=json_bytes(document), headers=headers))) == fields_of(bare)


def test_names_that_are_made_up_record_by_record_do_not_fill_the_memory() -> None:
    decoder = Decoder(Policies())
    value = json_bytes(plain_event())
    records = [WildRecord(value=value, headers=[(f"x-{number}", b"")]) for number in range(3_000)]
    assert all(isinstance(one, Event) for one in decoder.batch(PARTITION, records, NOW))
    assert len(decoder._plain_headers) <= 1024  # noqa: SLF001 - a bound that nothing else shows
    again = decoder.batch(PARTITION, records, NOW)
    assert {fields_of(one)["person"] for one in again} == {event_of(plain_event()).person}

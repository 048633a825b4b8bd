"""Generated traffic, judged by the decoder that the service uses: what is called invalid is, all else is an event."""

from typing import NamedTuple

from consumer.core.event import Event, Identity, Invalid
from consumer.core.intake.decode import Decoder
from consumer.core.policy import Policies, WireNames
from consumer.core.terms import Instant, Now, Partition, Ticks
from consumer.traffic.bulk import generate_bulk
from consumer.traffic.generator import generate
from consumer.traffic.record import GeneratedRecord, Headers, RecordKind

NOW = Now(Instant(1_795_000_000.0), Ticks(0.0))
PARTITION = Partition("contact-events", 0)


class Fetched(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def decoded(records: list[GeneratedRecord]) -> list[Event | Invalid]:
    decoder = Decoder(Policies(field_names=WireNames(scheduled_at="scheduleAt")))
    fetched = [Fetched(number, 0, record.key, record.value, record.headers) for number, record in enumerate(records)]
    return decoder.batch(PARTITION, fetched, NOW)


def test_each_invalid_record_is_invalid_for_the_reason_it_is_called_by_and_nothing_else_is() -> None:
    records = list(generate(count=20_000, seed=11, now=NOW.wall))
    for record, read in zip(records, decoded(records), strict=True):
        assert record.kind.invalid_reason == (read.reason if isinstance(read, Invalid) else None), record.kind


def test_one_persons_spellings_are_one_person_of_each_kind_to_the_service() -> None:
    records = list(generate(count=20_000, seed=11, now=NOW.wall))
    persons: dict[tuple[bytes | None, int], set[str]] = {}
    for record, read in zip(records, decoded(records), strict=True):
        if isinstance(read, Event):
            persons.setdefault((record.key, read.group.identity), set()).add(read.person.partition(" ")[2])
    assert all(len(of_key) == 1 for of_key in persons.values())
    assert {kind for _, kind in persons} == {Identity.E164, Identity.NATIONAL}


def test_only_one_time_passwords_are_immediate() -> None:
    records = [
        record for record in generate(count=2_000, seed=11, now=NOW.wall) if record.kind is not RecordKind.REPEATED
    ]
    for record, read in zip(records, decoded(records), strict=True):
        if isinstance(read, Event):
            assert read.immediate is (record.kind is RecordKind.ONE_TIME_PASSWORD)


def test_bulk_events_are_all_valid() -> None:
    assert all(isinstance(read, Event) for read in decoded(list(generate_bulk(count=5_000, seed=1, now=NOW.wall))))

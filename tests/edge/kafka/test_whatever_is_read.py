"""Whatever producers put into batches: each record gets one outcome, with a result and a dead letter that can be written."""

from random import Random
from typing import Any

import orjson
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from consumer.core.event import Invalid
from consumer.core.outcome import Status
from consumer.core.policy import CampaignPolicy, Policies
from consumer.core.results.dead_letter import dead_letter
from consumer.core.results.result import result_value
from consumer.edge.kafka.record_batches import Patience, Unpacked
from schemas.send_result import SendResult
from tests.core.makers import P0, at
from tests.core.runner import Runner
from tests.support.batches import CODECS, Raw, batch, body

POLICIES = Policies(default=CampaignPolicy(window_seconds=0.0, max_contacts=3), max_concurrency=4)
AT_ONCE = Patience(seconds=0.0, clock=lambda: 0.0)
NAMES = (
    b"traceparent", "X-Campaña".encode("latin-1"), b"", b"\xff\xfe", b"ce_id", b"ce_specversion", b"content-type",
    b"resend-id", b"resend-reason", b"dlq-reason", b"CE_TYPE", b"x" * 300,
)  # fmt: skip
CONTENTS = (
    None, b"", b"\xff", b"1.0", b"application/cloudevents+json", b"application/cloudevents; \xff", b"r1", b"y" * 5_000
)  # fmt: skip


def wild(dice: Random, runner: Runner) -> Raw:
    """A record: mostly an event, with whatever around it."""
    value: bytes | None = orjson.dumps(runner.event(phone=f"+3460000{dice.randrange(9):04}"))
    match dice.randrange(10):
        case 0:
            value = None
        case 1:
            value = dice.randbytes(dice.randrange(60))
        case 2:
            value = b"\0\0\0\0\7" + (value or b"")
        case 3:
            value = (value or b"")[: dice.randrange(120)]
        case 4:
            value = b"z" * dice.choice([1_000, 200_000, 1_100_000])
        case _:
            pass
    return Raw(
        value=value,
        key=dice.choice([None, b"", b"k", dice.randbytes(9), b"k" * 70_000]),
        headers=[(dice.choice(NAMES), dice.choice(CONTENTS)) for _ in range(dice.choice([0, 0, 1, 3, 60]))],
        timestamp_delta=dice.choice([0, 5, -(2**41), 2**62]),
        delta=dice.choice([None, None, None, 0, 7]),
    )


def wild_batch(dice: Random, runner: Runner, base: int) -> tuple[bytes, int]:
    """A batch of some records, with damage of a producer's or of a disk's; return it and where the next begins."""
    records = [wild(dice, runner) for _ in range(dice.randint(1, 4))]
    codec = dice.randrange(len(CODECS))
    inside = bytearray(CODECS[codec](body(records)))
    for _ in range(dice.choice([0, 0, 0, 3])):
        inside[dice.randrange(len(inside))] = dice.randrange(256)
    raw = bytearray(batch(records, base=base, codec=codec, inside=bytes(inside)))
    if dice.random() < 0.15:
        raw[-dice.randint(1, 20)] ^= 1
    return bytes(raw), base + len(records)


@given(st.integers(0, 2**32))
def test_every_record_gets_one_outcome_whatever_is_in_it(seed: int) -> None:
    dice, runner = Random(seed), Runner(policies=POLICIES)
    data, end = b"", 0
    for _ in range(dice.randint(1, 3)):
        raw, end = wild_batch(dice, runner, end)
        data += raw
    lane, position = runner.pipeline.lanes[P0], 0
    while position < end:
        unpacked = Unpacked(TopicPartition(*P0), data, position=position, aborted=(), patience=AT_ONCE)
        while not unpacked.is_empty:
            fetched = runner.pipeline.fetched(lane, unpacked.take(dice.choice([None, 1, 2])), at(runner.time))
            for record in fetched.records:
                runner.records[0, record.offset] = record
            runner.run()
        position = unpacked.next_fetch_offset
    runner.run()

    assert sorted(runner.results) == [(0, offset) for offset in range(end)]
    assert lane.watermark.value == end
    assert (lane.held_events, lane.held_bytes) == (0, 0)
    for place, verdict in runner.results.items():
        can_be_written(runner.records[place], verdict)


def can_be_written(record: Any, verdict: Any) -> None:
    """A result as the schema wants it; a dead letter where it must be, in bytes that a producer takes."""
    SendResult.model_validate(orjson.loads(result_value(record, verdict)))
    assert isinstance(record, Invalid) == (verdict.status is Status.INVALID)
    if isinstance(record, Invalid):
        letter = dead_letter(record)
        size = len(letter.key or b"") + len(letter.value or b"")
        size += sum(len(name.encode()) + len(content or b"") for name, content in letter.headers)
        assert size <= 1_000_000

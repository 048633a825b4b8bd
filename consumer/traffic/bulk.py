"""Makes many plain events fast, for benchmarks. Never reads a clock, never publishes.

`generator.py` makes realistic traffic. This module makes half a million valid events of about 400 bytes in a second or two,
so that a benchmark measures the service and not the generator.
"""

from collections.abc import Iterator

from consumer.traffic.generator import rfc3339
from consumer.traffic.people import COUNTRY_CODE, FIRST_NUMBER
from consumer.traffic.record import GeneratedRecord, RecordKind, traceparent

FIRST_CAMPAIGN = 1_000

_VALUE = (
    b'{"eventId":"%016x-%08x","eventType":"promotion.voucher","occurredAt":"%b","campaignId":%d,'
    b'"contact":{"phoneE164":"+%b%d","externalCode":"%b",'
    b'"customFields":{"firstName":"Sofia","voucher":"V%08X","percent":15,"shop":"Gran Via 12, Madrid","until":"31/12"},'
    b'"externalReference":"promotion-%08x"},"send":{"flash":false,"charset":"auto","sendTypeOverride":"list"}%b}'
)
_IMMEDIATE = b',"priority":"immediate"'


def generate_bulk(
    *, count: int, seed: int, now: float, campaigns: int = 20, immediate: frozenset[int] = frozenset()
) -> Iterator[GeneratedRecord]:
    """Yield `count` valid events, each for another person, for campaigns 1000, 1001, ... in turn.

    The events at the indices in `immediate` have that priority. All have a trace header, as most traffic has.
    """
    occurred_at = rfc3339(now).encode()
    country_code = COUNTRY_CODE.encode()
    for index in range(count):
        key = b"cust-%08d" % index
        value = _VALUE % (
            seed,
            index,
            occurred_at,
            FIRST_CAMPAIGN + index % campaigns,
            country_code,
            FIRST_NUMBER + index,
            key,
            index * 2_654_435_761
            & 0xFFFFFFFF,  # Knuth's multiplier: varies the values, so that they do not compress too well
            index,
            _IMMEDIATE if index in immediate else b"",
        )
        yield GeneratedRecord(key, value, (traceparent(seed << 64 | index + 1),), RecordKind.BULK, now)

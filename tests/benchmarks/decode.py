"""Decodes a fetched batch over and over, with and without record headers; beside `orjson.loads` in the same run.

`python -m tests.benchmarks.decode [--rounds N]`: microseconds per record and the ratio, the best of its rounds.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from consumer.core.intake.decode import Decoder
from consumer.core.policy import Policies
from consumer.core.terms import Instant, Now, Partition, Ticks
from consumer.traffic.bulk import generate_bulk

RECORDS: Final = 2_000
PARTITION: Final = Partition("bench-events", 0)
NOW: Final = Now(wall=Instant(1_795_534_819.25), steady=Ticks(77.5))
TRACING: Final = (
    ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("tracestate", b"vendor=1"),
    ("b3", b"0"),
    ("Produced-By", b"orders"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A fetched record."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def fetched(headers: Sequence[tuple[str, bytes]]) -> list[Fetched]:
    """Return a batch of plain events, each with these headers."""
    events = generate_bulk(count=RECORDS, seed=1, now=1_795_534_819.0)
    return [
        Fetched(offset=offset, timestamp=0, key=event.key, value=event.value, headers=headers)
        for offset, event in enumerate(events)
    ]


def best_seconds(works: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Return the seconds of each one's quickest round, taken in turn: what disturbs only ever makes one slower."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            began_at = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - began_at)
    return best


def decoding(headers: Sequence[tuple[str, bytes]]) -> Callable[[], object]:
    """Return what decodes one batch of such records."""
    decoder, batch = Decoder(Policies()), fetched(headers)
    return lambda: decoder.batch(PARTITION, batch, NOW)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.decode")
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    values = [record.value or b"" for record in fetched(())]
    works = {
        "orjson.loads": lambda: [orjson.loads(value) for value in values],
        "decode, no header": decoding(()),
        "decode, traceparent": decoding(TRACING[:1]),
        "decode, four tracing headers": decoding(TRACING),
        "decode, resend-id": decoding((("resend-id", b"r-1"),)),
    }
    best = best_seconds(works, rounds=rounds)
    for name, seconds in best.items():
        print(f"{name:<32} {seconds / RECORDS * 1e6:6.2f} us   {seconds / best['orjson.loads']:4.2f}")


if __name__ == "__main__":
    main()

"""The service with a watch on its loop, its take-overs and its memory, written to a file. Changes nothing of what it does.

`python -m tests.benchmarks.watched run` takes what `campaign-consumer` takes; `BENCH_WATCH` names the file.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any

import orjson

from consumer.cli.main import main
from consumer.core.terms import JournalOffset, Partition
from consumer.edge.telemetry.telemetry import Telemetry
from consumer.service.service import Service

TICK_SECONDS = 0.002
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Watch:
    """What was seen so far. Spells are counted from the first claim on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.claimed: dict[str, float] = {}
        self.owned: dict[str, float] = {}
        self.late_seconds = 0.0
        """The longest time by which the loop came back late, whatever the machine did meanwhile."""
        self.spell_cpu_seconds = 0.0
        """The most CPU time that the loop's thread took between two of its turns."""
        self.late: Counter[int] = Counter()
        self.spells: Counter[int] = Counter()
        """How often the loop came back late, and took CPU time between two turns, by begun milliseconds."""
        self.peak_bytes = 0
        self.assignments = 0
        """How often the group gave partitions: once more for each rebalance, and for each membership that was lost."""
        self.lost = 0
        """Partitions that somebody else claimed."""

    def tell(self) -> None:
        """Write it down."""
        took = [self.owned[name] - self.claimed[name] for name in self.owned]
        seen = {
            "claimed": len(self.claimed),
            "owned": len(self.owned),
            "longest": max(took, default=0.0),
            "all_owned": max(self.owned.values(), default=0.0) - min(self.claimed.values(), default=0.0),
            "late": self.late_seconds,
            "spell_cpu": self.spell_cpu_seconds,
            "late_counts": sorted(self.late.items()),
            "spell_counts": sorted(self.spells.items()),
            "rss": resident_bytes(),
            "peak": self.peak_bytes,
            "cpu": time.process_time(),
            "first_claim_at": min(self.claimed.values(), default=0.0),
            "last_owned_at": max(self.owned.values(), default=0.0),
            "assignments": self.assignments,
            "lost": self.lost,
        }
        spare = self._file.with_suffix(".new")
        spare.write_bytes(orjson.dumps(seen))
        spare.replace(self._file)

    async def run(self) -> None:
        """Watch for as long as the service runs."""
        told_at = 0.0
        while True:
            before, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_SECONDS)
            now = time.perf_counter()
            if self.claimed:
                late, spell = now - before - TICK_SECONDS, time.thread_time() - cpu
                self.late_seconds = max(self.late_seconds, late)
                self.spell_cpu_seconds = max(self.spell_cpu_seconds, spell)
                self.late[ceil(late * 1000)] += 1
                self.spells[ceil(spell * 1000)] += 1
            if now - told_at > 0.1:
                told_at = now
                self.peak_bytes = max(self.peak_bytes, resident_bytes())
                self.tell()


def resident_bytes() -> int:
    """What of the process is in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def install(watch: Watch) -> None:
    """Let the service run beside the watch, and tell it of take-overs."""
    run, owned, claimed = Service.run, Telemetry.partition_owned, Telemetry.partition_claimed
    assigned, lost = Telemetry.partitions_assigned, Telemetry.partition_lost

    async def watched(self: Service, stop: asyncio.Event) -> None:
        watching = asyncio.ensure_future(watch.run())
        try:
            await run(self, stop)
        finally:
            watching.cancel()

    def note_claimed(self: Telemetry, partition: Partition, *, claim_offset: JournalOffset) -> None:
        watch.claimed[str(partition)] = time.time()
        claimed(self, partition, claim_offset=claim_offset)

    def note_owned(self: Telemetry, partition: Partition, **fields: Any) -> None:
        watch.owned[str(partition)] = time.time()
        owned(self, partition, **fields)

    def note_assigned(self: Telemetry, partitions: Iterable[Partition]) -> None:
        watch.assignments += 1
        assigned(self, partitions)

    def note_lost(self: Telemetry, partition: Partition, *, claimed_by: str) -> None:
        watch.lost += 1
        lost(self, partition, claimed_by=claimed_by)

    Service.run = watched  # type: ignore[method-assign]
    Telemetry.partition_claimed = note_claimed  # type: ignore[method-assign]
    Telemetry.partition_owned = note_owned  # type: ignore[method-assign]
    Telemetry.partitions_assigned = note_assigned  # type: ignore[method-assign]
    Telemetry.partition_lost = note_lost  # type: ignore[method-assign]


if __name__ == "__main__":
    install(Watch(Path(os.environ["BENCH_WATCH"])))
    main()

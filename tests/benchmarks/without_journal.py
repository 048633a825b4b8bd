"""The service with the append to its journal replaced by nothing, to be measured beside the real one. Never safe to use.

`python -m tests.benchmarks.without_journal run` takes what `campaign-consumer` takes.
"""

from collections import Counter
from collections.abc import Sequence

from consumer.cli.main import main
from consumer.core.terms import JournalOffset, Partition
from consumer.edge.kafka.journal_log import KafkaJournal

_ends: Counter[Partition] = Counter()


async def append_nothing(self: KafkaJournal, partition: Partition, values: Sequence[bytes]) -> JournalOffset:  # noqa: ARG001 - a method
    """Say that the entries stand where they were expected."""
    base = _ends[partition]
    _ends[partition] += len(values)
    return JournalOffset(base)


if __name__ == "__main__":
    KafkaJournal.append = append_nothing  # type: ignore[method-assign]
    main()

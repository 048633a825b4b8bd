"""Counters, distributions, and gauges read at scrape time. Owns no metric's name or meaning.

These classes replace the Prometheus client's own. Observed values are counted many at a time (sorted once, then one bisection
a bucket). Nothing is locked, because one event loop reports all facts. There are no `_created` series. Every family knows
its labels, so that a page about all of them can be generated.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

State = TypeVar("State")

COUNTED_TOGETHER = 256
"""Observed values that wait until they are counted, sorted once and then one bisection a bucket: alone each costs five times as
much."""

Key = tuple[object, ...]
"""A family's label values, in the order of its labels; a `Partition` fits (`topic`, `partition`) as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One family, as it is documented. `name` is the family's; a counter's ends in `_total`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def unit(self) -> str:
        """The unit that the name ends in, as OpenMetrics' `# UNIT` wants it; empty where there is none."""
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in {"seconds", "bytes"} else ""


class Counters:
    """A counter family: one running sum for each combination of label values.

    `known` combinations are 0 from the start, so that `increase()` sees the first of a rare kind.
    """

    def __init__(self, described: Described, *, known: Iterable[Key] = ()) -> None:
        self.described = described
        self._values: dict[Key, float] = dict.fromkeys(known if described.labels else [()], 0)
        self._texts: dict[Key, list[str]] = {}

    def add(self, key: Key, amount: float) -> None:
        """Add `amount`, which is never negative."""
        assert amount >= 0, (self.described.name, amount)
        self._values[key] = self._values.get(key, 0) + amount

    def value(self, *key: object) -> float:
        """Return the running sum of one combination."""
        return self._values.get(key, 0)

    def totals(self, label: str) -> Mapping[str, float]:
        """Return the running sums by one label, over all the others."""
        position = self.described.labels.index(label)
        sums: dict[str, float] = {}
        for key, value in self._values.items():
            sums[str(key[position])] = sums.get(str(key[position]), 0) + value
        return sums

    def describe(self) -> Iterable[Metric]:
        """Return the family without samples."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """Return the family with its samples."""
        family = self._family()
        for key, value in self._values.items():
            family.add_metric(label_values(key, self._texts), value)
        return [family]

    def _family(self) -> CounterMetricFamily:
        described = self.described
        return CounterMetricFamily(described.name, described.meaning, labels=described.labels, unit=described.unit)


class Distribution:
    """A histogram family over `bounds`, the buckets' inclusive upper ends in ascending order."""

    def __init__(self, described: Described, *, bounds: Sequence[float], known: Iterable[Key] = ()) -> None:
        assert list(bounds) == sorted(set(bounds)), bounds
        self.described = described
        self.bounds = tuple(float(bound) for bound in bounds)
        self._ends = [*map(floatToGoString, self.bounds), "+Inf"]
        self._counts: dict[Key, list[int]] = {}
        self._sums: dict[Key, float] = {}
        self._texts: dict[Key, list[str]] = {}
        self._waiting: dict[Key, list[float]] = {}
        """Values that are not counted yet."""
        self._exemplars: dict[tuple[Key, int], tuple[str, float, float]] = {}
        """The latest of each bucket: send, value, instant."""
        for key in known if described.labels else [()]:
            self._counts_of(key)

    def observe(self, key: Key, value: float) -> None:
        """Count one value; a negative one (clocks that disagree) counts as 0."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = []
        waiting.append(value)
        if len(waiting) >= COUNTED_TOGETHER:
            self._count(key, waiting)
            waiting.clear()

    def observe_all(self, key: Key, values: Sequence[float]) -> None:
        """Count many values: the same as `observe` for each."""
        if len(values) == 1:
            self.observe(key, values[0])
        elif len(values) >= COUNTED_TOGETHER:
            self._count(key, values)
        else:
            waiting = self._waiting.setdefault(key, [])
            waiting += values
            if len(waiting) >= COUNTED_TOGETHER:
                self._count(key, waiting)
                waiting.clear()

    def _count_waiting(self) -> None:
        for key, waiting in self._waiting.items():
            self._count(key, waiting)
        self._waiting.clear()

    def _count(self, key: Key, values: Sequence[float]) -> None:
        ordered = sorted(values)
        counts = self._counts_of(key)
        below = 0
        for index, bound in enumerate(self.bounds):
            upto = bisect_right(ordered, bound, lo=below)
            counts[index] += upto - below
            below = upto
        counts[-1] += len(ordered) - below
        self._sums[key] += sum(ordered[bisect_right(ordered, 0.0) :])

    def counts(self, key: Key) -> Sequence[int]:
        """Return how many values each bucket has, not cumulative; the last bucket is beyond all bounds."""
        self._count_waiting()
        return tuple(self._counts_of(key))

    def exemplify(self, key: Key, send_id: str, value: float, at: float) -> None:
        """Let a send stand for its value's bucket, in place of the one before; `at` is an instant by the wall clock."""
        value = max(value, 0.0)
        bucket = (key, bisect_left(self.bounds, value))
        self._exemplars[bucket] = (send_id, value, at)

    def describe(self) -> Iterable[Metric]:
        """Return the family without samples."""
        return [self._family()]

    def collect(self) -> Iterable[Metric]:
        """Return the family with its samples; buckets are cumulative."""
        self._count_waiting()
        family, exemplars = self._family(), self._exemplars
        for key, counts in self._counts.items():
            total = 0
            buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
            for index, (end, count) in enumerate(zip(self._ends, counts, strict=True)):
                total += count
                exemplar = exemplars.get((key, index)) if exemplars else None
                if exemplar is None:
                    buckets.append((end, float(total)))
                else:
                    send_id, value, at = exemplar
                    buckets.append((end, float(total), Exemplar({"send_id": send_id}, value, at)))
            family.add_metric(label_values(key, self._texts), buckets, self._sums[key])
        return [family]

    def _counts_of(self, key: Key) -> list[int]:
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = [0] * (len(self.bounds) + 1)
            self._sums[key] = 0.0
        return counts

    def _family(self) -> HistogramMetricFamily:
        described = self.described
        return HistogramMetricFamily(described.name, described.meaning, labels=described.labels, unit=described.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeReading(Generic[State]):
    """A gauge family whose values are read from a state at scrape time."""

    described: Described
    read: Callable[[State], Iterable[tuple[Key, float]]]


class GaugeReadings(Generic[State]):
    """Gauge families that are read from one snapshot per scrape; without samples until a source is bound."""

    def __init__(self, readings: Sequence[GaugeReading[State]]) -> None:
        self.readings = readings
        self._source: Callable[[], State] | None = None

    def bind(self, source: Callable[[], State]) -> None:
        """Read from `source` from now on."""
        self._source = source

    def describe(self) -> Iterable[Metric]:
        """Return the families without samples."""
        return [self._family(reading.described) for reading in self.readings]

    def collect(self) -> Iterator[Metric]:
        """Return the families as the source sees them now."""
        state = None if self._source is None else self._source()
        for reading in self.readings:
            family = self._family(reading.described)
            if state is not None:
                for key, value in reading.read(state):
                    family.add_metric(label_values(key, {}), value)
            yield family

    @staticmethod
    def _family(described: Described) -> GaugeMetricFamily:
        return GaugeMetricFamily(described.name, described.meaning, labels=described.labels, unit=described.unit)


def label_values(key: Key, texts: dict[Key, list[str]]) -> list[str]:
    """Return label values as text, `none` for None; cached in `texts`, because each scrape needs them again."""
    values = texts.get(key)
    if values is None:
        values = texts[key] = ["none" if part is None else str(part) for part in key]
    return values

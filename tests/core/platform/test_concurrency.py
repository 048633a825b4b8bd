"""The limit of requests in flight follows a platform that has one of its own, and leaves a healthy one alone."""

import heapq
from dataclasses import dataclass, field

import pytest

from consumer.core.platform.concurrency import ConcurrencyLimit
from consumer.core.terms import Ticks
from tests.core.makers import at


@dataclass
class Platform:
    """Takes so many requests at once, says "too many" to more; or grows slower with each beyond."""

    takes: int
    seconds: float = 0.05
    slows_down: bool = False
    limit: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(maximum=32, minimum=1))
    time: float = 0.0
    refused: int = 0
    taken: int = 0
    serial: int = 0
    out: list[tuple[float, int, float, bool]] = field(default_factory=list)
    """A heap: when each ends, its number, when it began, and whether the platform took it."""

    def run(self, seconds: float, *, load: int = 1_000) -> None:
        """Keep as many requests in flight as the limit allows, and as there are."""
        self.refused = self.taken = 0
        until = self.time + seconds
        while self.time < until:
            while len(self.out) < min(self.limit.current, load):
                self.start()
            self.end()

    def start(self) -> None:
        served = sum(is_taken for _, _, _, is_taken in self.out)
        is_taken = self.slows_down or served < self.takes
        self.serial += 1
        wave = 0.9 + 0.2 * ((self.serial * 7) % 11) / 10
        crowd = max(1.0, (served + 1) / self.takes) ** 2 if self.slows_down else 1.0
        took = self.seconds * wave * crowd if is_taken else 0.002
        heapq.heappush(self.out, (self.time + took, self.serial, self.time, is_taken))

    def end(self) -> None:
        in_flight = len(self.out)
        self.time, _, began_at, is_taken = heapq.heappop(self.out)
        started_at, now = at(began_at).steady, at(self.time)
        if is_taken:
            self.taken += 1
            seconds = self.time - began_at
            self.limit.succeeded(seconds=seconds, started_at=started_at, in_flight=in_flight, now=now)
        else:
            self.refused += 1
            self.limit.congested(started_at=started_at, now=now)


@pytest.mark.parametrize("takes", [1, 2, 5, 10, 20, 31])
def test_it_settles_on_what_the_platform_takes(takes: int) -> None:
    platform = Platform(takes)
    platform.run(30.0)
    platform.run(60.0)
    assert platform.refused <= 0.01 * (platform.refused + platform.taken)
    assert platform.taken >= 0.9 * takes / platform.seconds * 60.0


def test_a_healthy_platform_never_waits_for_it() -> None:
    platform = Platform(takes=1_000)
    platform.run(60.0)
    assert platform.limit.current == 32


def test_it_rises_again_when_the_platform_has_recovered() -> None:
    platform = Platform(takes=2)
    platform.run(30.0)
    assert platform.limit.current <= 3
    platform.takes = 1_000
    platform.run(120.0)
    assert platform.limit.current == 32


def test_latency_that_grows_with_what_is_in_flight_lowers_it() -> None:
    platform = Platform(takes=8, slows_down=True)
    platform.run(5.0, load=8)  # quiet hours
    assert platform.limit.current == 32
    platform.run(30.0)
    latest: list[int] = []
    for _ in range(20):
        platform.run(1.0)
        latest.append(platform.limit.current)
    assert sum(latest) / len(latest) < 20


def test_latency_that_our_own_loop_may_have_added_lowers_nothing() -> None:
    platform = Platform(takes=8, seconds=0.005, slows_down=True)  # a local platform answers, our loop is busy
    platform.run(5.0, load=8)
    platform.run(30.0)
    assert platform.limit.current == 32


def test_a_slow_platform_that_is_not_in_full_use_lowers_nothing() -> None:
    platform = Platform(takes=1_000)
    platform.run(5.0, load=4)
    platform.seconds = 5.0
    platform.run(60.0, load=4)
    assert platform.limit.current == 32


def test_many_that_were_out_together_lower_it_once() -> None:
    limit = ConcurrencyLimit(maximum=32, minimum=1)
    for _ in range(20):
        limit.congested(started_at=Ticks(at(0).steady), now=at(1))
    assert limit.current == 24


def test_it_stays_between_its_bounds() -> None:
    limit = ConcurrencyLimit(maximum=8, minimum=3)
    for second in range(20):
        limit.congested(started_at=at(second).steady, now=at(second))
    assert limit.current == 3
    for second in range(20, 400):
        limit.succeeded(seconds=0.1, started_at=at(second).steady, in_flight=limit.current, now=at(second))
    assert limit.current == 8

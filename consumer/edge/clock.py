"""The machine's clocks, the dice and the names made from them: the only place that reads them. Decides nothing."""

import random
import time
import uuid

from consumer.core.terms import Instant, Now, SendId, Ticks


class SystemClock:
    """Wall clock for people and deadlines, boot-time clock for durations: it counts suspended time and never goes back.

    Where the platform has no boot-time clock, the monotonic one stands in.
    """

    def __init__(self) -> None:
        self._steady_id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> Now:
        """Return one reading of both."""
        return Now(Instant(time.time()), Ticks(time.clock_gettime(self._steady_id)))


def jitter() -> float:
    """Return a number in [0, 1)."""
    return random.random()


def new_send_id() -> SendId:
    """Return a name that no other send has ever had."""
    return SendId(uuid.uuid4().hex)


def new_process_id() -> str:
    """Return a name for this run of the process; two runs never share one."""
    return uuid.uuid4().hex

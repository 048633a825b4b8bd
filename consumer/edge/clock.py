"""The machine's clocks, random numbers and unique IDs: the only module that reads them. Decides nothing."""

import os
import random
import time
import uuid

from consumer.core.terms import Instant, Now, SendId, Ticks


class SystemClock:
    """The wall clock for deadlines, the boot-time clock for durations: it counts suspended time and never goes back.

    Where the operating system has no boot-time clock, the monotonic one is used.
    """

    def __init__(self) -> None:
        self._steady_id = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> Now:
        """Return the time by both clocks."""
        return Now(Instant(time.time()), Ticks(time.clock_gettime(self._steady_id)))


def jitter() -> float:
    """Return a random number in [0, 1)."""
    return random.random()


def new_send_id() -> SendId:
    """Return a unique ID for a send: 128 random bits as 32 digits, at a quarter of what a UUID costs."""
    return SendId(os.urandom(16).hex())


def new_process_id() -> str:
    """Return a unique ID for this run of the process."""
    return uuid.uuid4().hex

"""Whether a partition stands still while both probes of its owner are green, as its `/status` shows it. Breaks nothing."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import httpx

from tests.service.harness import Instance

LOOK_SECONDS = 2.0
BOUND_SECONDS = 90.0
"""A minute that the probes grant, a window, a claim anew, and what a busy machine takes for itself."""
OK = 200

Stand = tuple[object, ...]


class Standstills:
    """Remembers how every instance's partitions stood; `found` are those that broke the promise."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._stands: dict[tuple[int, str, int], tuple[Stand, float]] = {}

    def look(self, now: float, instance: int, status: Mapping[str, Any], *, all_green: bool) -> None:
        """Take note of an instance's partitions; `all_green` says how its probes answered right after."""
        for shown in status["partitions"]:
            place = (instance, shown["topic"], shown["partition"])
            stand = tuple(shown[name] for name in ("state", "watermark", "position", "held"))
            before, since = self._stands.get(place, (None, now))
            if stand != before or not shown["lag"]:
                self._stands[place] = (stand, now)
            elif all_green and now - since > BOUND_SECONDS:
                self.found.append(f"{shown} has stood still for {now - since:.0f} s, and both probes are green")
                self._stands[place] = (stand, now)


async def watch(instances: Callable[[], Iterable[Instance]], standstills: Standstills) -> None:
    """Look at everybody who answers, for ever. Who does not answer is frozen or dead, and his probes fail by that."""
    clock = asyncio.get_running_loop().time
    while True:
        for instance in list(instances()):
            try:
                status = await instance.status()
                probes = [await instance.get(path) for path in ("/healthz", "/readyz")]
            except (httpx.HTTPError, OSError, AssertionError):
                continue
            all_green = all(probe.status_code == OK for probe in probes)
            standstills.look(clock(), instance.pid, status, all_green=all_green)
        await asyncio.sleep(LOOK_SECONDS)

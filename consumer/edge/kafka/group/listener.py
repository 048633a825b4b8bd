"""The client's rebalance listener: passes on assignments and revokes, and reports exceptions. Decides nothing.

The client only logs an exception of a listener, and goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka.abc import ConsumerRebalanceListener

from consumer.core.terms import Partition


class GroupListener(ConsumerRebalanceListener):  # type: ignore[misc]  # the client is untyped
    """Translates between the client's partitions and ours. Method names are the client's."""

    def __init__(
        self,
        *,
        assigned: Callable[[Iterable[Partition]], None],
        revoking: Callable[[Iterable[Partition]], Awaitable[None]],
        revoked: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Prepare. `revoking` is awaited before the rebalance goes on; `revoked` is called after it, even if it failed."""
        self._assigned = assigned
        self._revoking = revoking
        self._revoked = revoked
        self._failed = failed
        self.away_since: float | None = _now()
        """Since when we have had no assignment, by the loop's clock; None while we have one."""

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Hand all partitions back, as each rebalance requires; heartbeats go on until this returns."""
        partitions = sorted(Partition(*partition) for partition in revoked)
        if not partitions:  # before the first join
            return
        try:
            await self._revoking(partitions)
        except Exception as error:  # noqa: BLE001 - any error ends the service
            self._failed(error)
        finally:
            self.away_since = _now()
            self._revoked()

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Take the new assignment. No heartbeat is sent until this returns, so it waits for nothing."""
        self.away_since = None
        try:
            self._assigned(sorted(Partition(*partition) for partition in assigned))
        except Exception as error:  # noqa: BLE001
            self._failed(error)


def _now() -> float:
    return asyncio.get_running_loop().time()

"""What stands behind a plan's ends: which of its rows were published by an earlier run, and what others published.

Reads committed records alone. Writes nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from consumer.replay.ranges import Logs
from consumer.replay.rows import Rows, repeated_fingerprint, resend_of

OPEN_SECONDS: Final = 90.0
"""So long is waited for other producers' transactions, which brokers end after a minute unless told otherwise."""
ASK_AGAIN_SECONDS: Final = 0.2

Key = tuple[str, int]
"""Topic and partition."""


class LogsWithOpenEnds(Logs, Protocol):
    """Logs of which also the end behind open transactions can be asked."""

    async def open_end(self, topic: str, partition: int) -> int:
        """Return a partition's end, with what is not committed yet."""
        ...


class HeldUpError(Exception):
    """Nobody can say what stands in a partition: a transaction of somebody else is open. The message is one line."""


class Tail:
    """Looks at the partitions of a plan, each time from where it has come to."""

    def __init__(
        self,
        rows: Mapping[Key, Rows],
        *,
        resend_id: str,
        ends: Mapping[Key, int],
        on_others: Callable[[str, int, Sequence[Any]], None] = lambda _topic, _partition, _records: None,
        on_trouble: Callable[[str], None],
    ) -> None:
        """Prepare. `on_others` hears of records that are not of this resend, `on_trouble` of what is waited for."""
        self._rows = rows
        self._resend_id = resend_id.encode()
        self._positions = {key: ends[key] for key in rows}
        self._on_others = on_others
        self._on_trouble = on_trouble

    async def look(self, logs: LogsWithOpenEnds) -> None:
        """Note what stands there by now, as far as it can be read."""
        for key in self._rows:
            _, end = await logs.bounds(*key)
            await self._read(logs, key, end)

    async def look_at_all(self, logs: LogsWithOpenEnds) -> None:
        """Note all that stands there by now, for which every transaction before that has to have ended.

        Raises:
            HeldUpError: one has not, however long it was waited for.
        """
        for key in self._rows:
            end = await logs.open_end(*key)
            await self._until_readable(logs, key, end)
            await self._read(logs, key, end)

    async def _until_readable(self, logs: LogsWithOpenEnds, key: Key, end: int) -> None:
        loop = asyncio.get_running_loop()
        give_up_at, told = loop.time() + OPEN_SECONDS, False
        while (await logs.bounds(*key))[1] < end:
            name = f"{key[0]}:{key[1]}"
            if loop.time() >= give_up_at:
                raise HeldUpError(
                    f"a transaction of another producer is open in {name} for {OPEN_SECONDS:.0f} s, so nobody can say "
                    "what stands behind it: end it, then run again"
                )
            if not told:
                self._on_trouble(f"{name}: waiting for a transaction of another producer to end")
            told = True
            await asyncio.sleep(ASK_AGAIN_SECONDS)

    async def _read(self, logs: LogsWithOpenEnds, key: Key, end: int) -> None:
        await logs.each(*key, self._positions[key], end, partial(self._take, key))
        self._positions[key] = max(self._positions[key], end)

    async def _take(self, key: Key, records: Sequence[Any]) -> None:
        rows = self._rows[key]
        others = []
        for record in records:
            if not record.headers or resend_of(record.headers) != self._resend_id:
                others.append(record)
            else:
                rows.stands(repeated_fingerprint(record.key, record.value, record.headers))
        if others:
            self._on_others(*key, others)
        self._positions[key] = records[-1].offset + 1

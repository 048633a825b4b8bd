"""Logs that do not hold what is to be read of them: reading goes on elsewhere, whatever becomes of their brokers."""

import asyncio

import pytest

from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.reading.log_edges import LogEdges
from consumer.edge.kafka.reading.positions import Positions

GONE, BEHIND = Partition("events", 0), Partition("events", 1)


async def test_a_partition_without_a_leader_holds_up_neither_reading_nor_the_look_at_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Retention has gone past both; of one, nobody says how far."""
    monkeypatch.setattr("consumer.edge.kafka.reading.log_edges.ANSWER_SECONDS", 0.01)
    positions, troubles, lost = Positions(), list[str](), list[tuple[Partition, int, int]]()
    positions.receive(frozenset({GONE, BEHIND}))
    for partition in (GONE, BEHIND):
        positions.seek(partition, 3)
        positions.resume(partition)

    async def bounds(partition: Partition) -> tuple[Offset, Offset]:
        if partition == GONE:
            await asyncio.Event().wait()
        return Offset(7), Offset(9)

    edges = LogEdges(
        positions,
        bounds=bounds,
        position_of=positions.next_of,
        seek=positions.seek,
        on_trouble=troubles.append,
        on_records_lost=lambda partition, start, stop: lost.append((partition, start, stop)),
        clock=lambda: 0.0,
    )
    async with asyncio.timeout(10):
        await edges.look({GONE: 3, BEHIND: 3})
    assert lost == [(BEHIND, 3, 7)]
    assert positions.wanted() == [BEHIND]
    assert positions.take_due(2.0) == [GONE], "it is asked for again by itself"
    assert [str(GONE) in trouble for trouble in troubles] == [True]

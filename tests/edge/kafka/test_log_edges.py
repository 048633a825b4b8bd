"""Logs that do not hold what is to be read of them: reading goes on elsewhere, whatever becomes of their brokers."""

import asyncio
from collections.abc import Callable

import pytest

from consumer.core.terms import Offset, Partition
from consumer.edge.kafka.reading.log_edges import TRUNCATED_SECONDS, LogEdges
from consumer.edge.kafka.reading.positions import Positions

GONE, BEHIND = Partition("events", 0), Partition("events", 1)


def edges_of(
    positions: Positions,
    *,
    troubles: list[str],
    lost: Callable[[Partition, Offset, Offset], None],
    now: Callable[[], float],
) -> LogEdges:
    async def bounds(partition: Partition) -> tuple[Offset, Offset]:
        if partition == GONE:
            await asyncio.Event().wait()
        return Offset(7), Offset(9)

    return LogEdges(
        positions,
        bounds=bounds,
        position_of=positions.next_of,
        seek=positions.seek,
        on_trouble=troubles.append,
        on_records_lost=lost,
        clock=now,
    )


def test_a_log_that_is_too_short_now_and_then_is_not_given_up() -> None:
    """A broker that has just become leader may know a shorter one."""
    now = 0.0
    edges = edges_of(Positions(), troubles=[], lost=lambda *_: None, now=lambda: now)
    for _ in range(3):
        edges.ends(BEHIND, Offset(3), read=Offset(10))
        now += TRUNCATED_SECONDS
        edges.ends(BEHIND, Offset(3), read=Offset(10))
        now += 1.0
        edges.ends(BEHIND, Offset(10), read=Offset(10))
    assert edges.take_truncated() == {}
    edges.ends(BEHIND, Offset(3), read=Offset(10))
    now += TRUNCATED_SECONDS + 1.0
    edges.ends(BEHIND, Offset(2), read=Offset(4))
    edges.ends(BEHIND, Offset(3), read=Offset(10))
    assert edges.take_truncated().keys() == {BEHIND}


async def test_a_partition_without_a_leader_holds_up_neither_reading_nor_the_look_at_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Retention has gone past both; of one, nobody says how far."""
    monkeypatch.setattr("consumer.edge.kafka.reading.log_edges.ANSWER_SECONDS", 0.01)
    positions, lost = Positions(), list[tuple[Partition, int, int]]()
    positions.receive(frozenset({GONE, BEHIND}))
    for partition in (GONE, BEHIND):
        positions.seek(partition, 3)
        positions.resume(partition)

    troubles: list[str] = []
    edges = edges_of(
        positions,
        troubles=troubles,
        lost=lambda partition, start, stop: lost.append((partition, start, stop)),
        now=lambda: 0.0,
    )
    async with asyncio.timeout(10):
        await edges.look({GONE: 3, BEHIND: 3})
    assert lost == [(BEHIND, 3, 7)]
    assert positions.wanted() == [BEHIND]
    assert positions.take_due(2.0) == [GONE], "it is asked for again by itself"
    assert [str(GONE) in trouble for trouble in troubles] == [True]

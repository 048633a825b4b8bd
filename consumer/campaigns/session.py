"""How the command reaches the control topic, and the results that tell what became of events. Decides nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from config.settings import Kafka
from consumer.campaigns.control_session import ControlSession
from consumer.campaigns.outcomes import Outcomes
from consumer.core.terms import Instant
from consumer.edge.clock import SystemClock
from consumer.edge.kafka.connection import KafkaConnection, KafkaUnreachableError, reach
from consumer.edge.kafka.control_log import KafkaControl
from consumer.edge.kafka.reading.whole_logs import WholeLogs
from consumer.service.ports import ControlRead, Message

T = TypeVar("T")

ENOUGH_SECONDS = 30.0
"""The brokers are asked again and again; after so long somebody wants to know that they do not answer."""

LOOK_AGAIN_SECONDS = 0.2


async def with_control(
    kafka: Kafka, connection: KafkaConnection, work: Callable[[ControlSession, Instant], Awaitable[None]]
) -> None:
    """Read the control topic, then do `work` as of now.

    Raises:
        KafkaUnreachableError, KafkaRefusedError, TopicGoneError, NotTakenError: the brokers do not let us.
    """
    troubles: list[str] = []
    await reach(connection)
    control = KafkaControl(connection, topic=kafka.control_topic_name, on_trouble=troubles.append)
    try:
        session = ControlSession(_Bounded(control, troubles), max_event_age_seconds=kafka.max_event_age_seconds)
        now = SystemClock().now().wall
        await session.look(now)
        await work(session, now)
    finally:
        await control.stop()


async def follow(
    kafka: Kafka, connection: KafkaConnection, events: Sequence[str], now: Instant, seconds: float
) -> Outcomes:
    """Return what is known of events when all have their outcome, or after so many seconds."""
    logs = WholeLogs(connection, group=kafka.group_id, on_trouble=lambda _why: None)
    outcomes = Outcomes(logs, kafka.results_topic, events)
    try:
        async with asyncio.timeout(seconds):
            await outcomes.begin(int((now - kafka.max_event_age_seconds) * 1000))
            while True:
                is_more = await outcomes.look()
                if not outcomes.pending:
                    break
                await asyncio.sleep(0 if is_more else LOOK_AGAIN_SECONDS)
    except TimeoutError:
        pass  # what is pending is told
    finally:
        await logs.stop()
    return outcomes


class _Bounded:
    """A control topic that is waited for so long, and no longer."""

    def __init__(self, control: KafkaControl, troubles: Sequence[str]) -> None:
        self._control = control
        self._troubles = troubles

    async def read(self, position: int) -> ControlRead:
        return await self._in_time(self._control.read(position))

    async def write(self, messages: Sequence[Message]) -> None:
        await self._in_time(self._control.write(messages))

    async def _in_time(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(ENOUGH_SECONDS):
                return await work
        except TimeoutError:
            why = self._troubles[-1] if self._troubles else "no answer"
            raise KafkaUnreachableError(f"not done within {ENOUGH_SECONDS:.0f} s: {why}") from None

"""What `produce` does with its events: publishes them, says where they stand, waits for their results. Reads no option."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import click
from rich.console import Console

from config.settings import Kafka
from consumer.cli.main import Failure
from consumer.cli.produce_progress import progress
from consumer.cli.results_output import ResultsTable
from consumer.edge.clock import SystemClock
from consumer.edge.kafka.reading.whole_logs import WholeLogs
from consumer.lookup.following import FollowedTopic
from consumer.lookup.results import PublishedResult
from consumer.service.ports import TopicGoneError
from consumer.traffic.awaited import AwaitedResults
from consumer.traffic.connection import connection_of
from consumer.traffic.generator import generate
from consumer.traffic.lines import BadLine, KeyField, read_lines
from consumer.traffic.pace import in_batches, publish_all
from consumer.traffic.published import PublishedPlaces
from consumer.traffic.publisher import Publishable, PublishError, TrafficPublisher
from consumer.traffic.reader import lines_of
from consumer.traffic.record import Headers

BAD_LINES_SHOWN: Final = 20
LOOK_AGAIN_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What is to be published, and how."""

    source: BinaryIO | None
    count: int
    seed: int
    per_second: float | None
    key_field: KeyField | None
    headers: Headers
    wait_seconds: float | None
    """How long results are waited for, None: not at all."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was published so far, and what was left out."""

    places: PublishedPlaces
    bad_lines: int = 0
    stopped: bool = False


async def produce(publisher: TrafficPublisher, kafka: Kafka, plan: Publication, tally: Tally) -> None:
    """Publish everything, or until a signal comes; then wait for the results, where that is wanted.

    Raises:
        PublishError: the brokers did not take everything.
        Failure: results cannot be read, or something has none in time.
    """
    console, wait = Console(stderr=True), None
    await publisher.start()
    us = asyncio.current_task()
    assert us is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, us.cancel)  # asyncio.run does the same for SIGINT
    try:
        if plan.wait_seconds is not None:
            wait = _Wait(kafka, tally.places)
            await wait.begin()  # before anything is published: no result can come earlier
        await _publish(publisher, plan, tally, console)
        if wait is not None and plan.wait_seconds is not None and tally.places.count:
            await wait.until_all_have_results(plan.wait_seconds, console)
    finally:
        await publisher.stop()
        if wait is not None:
            await wait.stop()


async def _publish(publisher: TrafficPublisher, plan: Publication, tally: Tally, console: Console) -> None:
    us, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert us is not None
    started = loop.time()
    try:
        with progress("publishing", done=lambda: publisher.published, total=plan.count or None, console=console):
            try:
                await publish_all(publisher, _batches(plan, tally, console), per_second=plan.per_second)
            except asyncio.CancelledError:
                us.uncancel()
                tally.stopped = True
                await publisher.finish()
    except PublishError:
        if tally.places.count:
            _print_summary(tally, loop.time() - started)
        raise
    _print_summary(tally, loop.time() - started)


def _batches(plan: Publication, tally: Tally, console: Console) -> AsyncIterator[Sequence[Publishable]]:
    if plan.source is not None:
        return _from_lines(plan.source.fileno(), plan, tally, console)
    now = SystemClock().now().wall
    made_up = generate(count=plan.count, seed=plan.seed, now=now, per_second=plan.per_second)
    return in_batches(record._replace(headers=(*record.headers, *plan.headers)) for record in made_up)


async def _from_lines(
    descriptor: int, plan: Publication, tally: Tally, console: Console
) -> AsyncIterator[Sequence[Publishable]]:
    async for part in lines_of(descriptor):
        good: list[Publishable] = []
        for line in read_lines(
            part.lines, first_number=part.first_number, key_field=plan.key_field, headers=plan.headers
        ):
            if isinstance(line, BadLine):
                tally.bad_lines += 1
                if tally.bad_lines <= BAD_LINES_SHOWN:
                    console.print(f"line {line.number}: {line.why}", markup=False, highlight=False, soft_wrap=True)
            else:
                good.append(line)
        yield good


def _print_summary(tally: Tally, seconds: float) -> None:
    """Say what was published, and where it stands: also where the rest was not taken."""
    places = tally.places
    rate = places.count / seconds if seconds > 0 else 0.0
    where = f"{places.partitions} partition{'' if places.partitions == 1 else 's'} of {places.topic}"
    stopped = " (stopped by a signal)" if tally.stopped else ""
    click.echo(f"published {places.count:,} records to {where} in {seconds:.1f} s, {rate:,.0f}/s{stopped}")
    for line in places.lines():
        click.echo(line)


class _Wait:
    """Reads results from before the first record is published on, until each record has one."""

    def __init__(self, kafka: Kafka, places: PublishedPlaces) -> None:
        self._places = places
        self._awaited = AwaitedResults(places)
        self._logs = WholeLogs(
            connection_of(kafka), group=kafka.group_id, on_trouble=lambda why: click.echo(why, err=True)
        )
        self._followed: FollowedTopic[PublishedResult] = FollowedTopic(
            self._logs, kafka.results_topic, keep=self._awaited.keep, tell=self._awaited.take
        )

    async def begin(self) -> None:
        """Note where the results topic ends."""
        try:
            await self._followed.begin_at_ends()
        except TopicGoneError as error:
            raise Failure(f"CAMPAIGN_KAFKA__RESULTS_TOPIC: {error}") from None

    async def until_all_have_results(self, seconds: float, console: Console) -> None:
        """Wait, and say what became of everything.

        Raises:
            Failure: something has no result in time.
        """
        awaited, us, ended = self._awaited, asyncio.current_task(), ""
        assert us is not None
        total = self._places.count
        try:
            with progress("waiting for results", done=awaited.counts.total, total=total, console=console):
                async with asyncio.timeout(seconds):
                    await self._look_until_done()
        except TimeoutError:
            ended = f"after {seconds:g} s"
        except asyncio.CancelledError:
            us.uncancel()
            ended = "when a signal came"
        self._print_results()
        if awaited.pending:
            few = "1 record has" if awaited.pending == 1 else f"{awaited.pending:,} records have"
            raise Failure(f"{few} no result {ended}: campaign-consumer results --follow shows them as they come")

    async def _look_until_done(self) -> None:
        while True:
            await self._followed.look()
            if not self._awaited.pending:
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    def _print_results(self) -> None:
        for (status, reason), count in sorted(self._awaited.counts.items(), key=lambda each: (-each[1], each[0][0])):
            click.echo(f"{count:,} {status}" + (f" ({reason})" if reason else ""))
        if self._awaited.shown:
            ResultsTable().write(self._awaited.shown)
        for place in self._awaited.missing():
            click.echo(f"{place}  no result yet")

    async def stop(self) -> None:
        """Disconnect."""
        await self._logs.stop()

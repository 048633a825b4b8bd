"""Runs the demo: starts the processes, publishes events, waits for their results. Prints and checks nothing itself.

`arithmetic.py` checks the totals, `show.py` prints them.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
from rich.console import Console

from config.settings import Kafka
from consumer.demo.arithmetic import Account, RecordPlace, acceptance_delay, settle_accounts
from consumer.demo.child_process import ChildProcess
from consumer.demo.processes import ProcessError, ServiceProcess, answers, command_line, free_port, stop
from consumer.demo.results import ResultsReader
from consumer.demo.show import Gauge, Progressed, progress_of, show_summary, show_surroundings
from consumer.demo.surroundings import (
    SCHEDULE_FIELD,
    SERVER_KEY,
    Cluster,
    embedded_cluster,
    logs_folder,
    plain_environment,
    service_environment,
    users_cluster,
)
from consumer.edge.clock import SystemClock
from consumer.sandbox.client import SandboxClient
from consumer.traffic.connection import connection_of
from consumer.traffic.generator import generate
from consumer.traffic.pace import in_batches, publish_all
from consumer.traffic.publisher import Publishable, PublishError, TrafficPublisher
from consumer.traffic.record import GeneratedRecord, RecordKind

LOOK_SECONDS = 0.25
STALLED_SECONDS = 60.0
"""After this long without a new result, none will come; a kill costs a session time-out of 10 s and a rebalance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the user asked for."""

    events: int
    seed: int
    per_second: float | None
    cluster: Kafka | None
    """The user's cluster; None means an embedded one."""
    keep: bool


@dataclass(slots=True)
class PublishedRecords:
    """What has been published, record by record."""

    kinds: dict[RecordPlace, RecordKind] = field(default_factory=dict)
    first_occurred_at: float = 0.0
    texted: int = 0
    """As far as the platform has told."""

    def note(self, partition: int, offset: int, records: Sequence[Publishable]) -> None:
        """Record an acknowledged batch."""
        for number, record in enumerate(records, start=offset):
            assert isinstance(record, GeneratedRecord)
            self.kinds[RecordPlace(partition, number)] = record.kind
            self.first_occurred_at = min(self.first_occurred_at or record.occurred_at, record.occurred_at)

    def of(self, *kinds: RecordKind) -> frozenset[RecordPlace]:
        """Return partition and offset of the records of these kinds."""
        return frozenset(place for place, kind in self.kinds.items() if kind in kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningDemo:
    """Everything that runs while events are published."""

    options: DemoOptions
    console: Console
    cluster: Cluster
    sandbox: SandboxClient
    service: ServiceProcess
    results: ResultsReader
    published: PublishedRecords = field(default_factory=PublishedRecords)

    async def progressed(self) -> Progressed:
        """Return how far it has come; what was texted as far as the platform has told, which somebody may have stopped."""
        with suppress(httpx.TransportError):
            self.published.texted = (await self.sandbox.summary()).accepted
        return Progressed(
            published=len(self.published.kinds), results=len(self.results.places), texted=self.published.texted
        )


async def run_demo(options: DemoOptions, console: Console) -> Account:
    """Run the demo and return its account; with `keep`, only after Ctrl-C.

    Raises:
        KafkaStartError, ClusterError, ProcessError, PublishError: it could not be finished.
    """
    async with AsyncExitStack() as stack:
        kept = stack.enter_context(logs_folder(console))
        logs = kept.folder
        cluster = await stack.enter_async_context(
            embedded_cluster(console) if options.cluster is None else users_cluster(options.cluster, console)
        )
        sandbox_url = await _start_sandbox(stack, logs, console)
        port = free_port()

        def print_process(pid: int) -> None:
            console.print(f"service at http://127.0.0.1:{port}, process {pid}: kill it if you like")

        service = ServiceProcess(
            environment=service_environment(cluster, sandbox_url=sandbox_url, port=port),
            log=logs / "service.log",
            on_restarted=print_process,
            on_died=lambda code: console.print(f"the service {_end(code)}; it is started again"),
        )
        await service.start()
        stack.push_async_callback(lambda: stop(service.process))
        await answers(f"http://127.0.0.1:{port}/readyz", service.process, name="service", log=service.log)
        print_process(service.process.pid)  # from here on it is restarted whenever it dies
        results = ResultsReader(topic=cluster.topics.results, connection=connection_of(cluster.kafka))
        demo = RunningDemo(
            options=options,
            console=console,
            cluster=cluster,
            service=service,
            sandbox=await stack.enter_async_context(SandboxClient(sandbox_url)),
            results=await stack.enter_async_context(results),
        )
        around = partial(show_surroundings, console, service.environment, port=port, sandbox_url=sandbox_url, logs=logs)
        if options.keep:
            around()  # events may go through for long
        await _publish_and_wait(demo)
        if not options.keep:
            await _stop_service(demo)
        account = await _check(demo)
        kept.wanted = not account.holds
        if options.keep:
            around()
            await _until_interrupted(service)
        return account


async def _start_sandbox(stack: AsyncExitStack, logs: Path, console: Console) -> str:
    """Start the sandbox as a process of its own; return its URL."""
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", logs / "sandbox.log"
    options = ("--port", str(port), "--server-key", SERVER_KEY, "--schedule-field", SCHEDULE_FIELD)
    sandbox = await asyncio.to_thread(
        ChildProcess.start, command_line("sandbox", *options), output=log, environment=plain_environment()
    )
    stack.push_async_callback(lambda: stop(sandbox))
    await answers(f"{url}/v1/status", sandbox, name="sandbox", log=log)
    console.print(f"sandbox platform at {url}, process {sandbox.pid}")
    return url


async def _publish_and_wait(demo: RunningDemo) -> None:
    """Publish everything and read results until every record has one, or no more come."""
    failures: Sequence[Exception] = ()
    with progress_of(demo.options.events, demo.console) as gauge:
        try:
            async with asyncio.TaskGroup() as tasks:
                background = (
                    tasks.create_task(demo.service.supervise(), name="supervise the service"),
                    tasks.create_task(demo.results.read_on(), name="read results"),
                    tasks.create_task(_show_progress(demo, gauge), name="show progress"),
                )
                await _publish(demo)
                await _until_settled(demo)
                for task in background:
                    task.cancel()
        except* (ProcessError, PublishError) as group:
            failures = group.exceptions
        gauge.show(await demo.progressed())
    for failure in failures:
        raise failure


async def _publish(demo: RunningDemo) -> None:
    options = demo.options
    publisher = TrafficPublisher(
        topic=demo.cluster.topics.events,
        connection=connection_of(demo.cluster.kafka),
        on_acknowledged=demo.published.note,
    )
    await publisher.start()
    try:
        now = SystemClock().now().wall
        events = generate(count=options.events, seed=options.seed, now=now, per_second=options.per_second)
        await publish_all(publisher, in_batches(events), per_second=options.per_second)
    finally:
        await publisher.stop()


async def _until_settled(demo: RunningDemo) -> None:
    loop = asyncio.get_running_loop()
    count, moved_at = 0, loop.time()
    while not demo.published.kinds.keys() <= demo.results.places:
        if len(demo.results.places) > count:
            count, moved_at = len(demo.results.places), loop.time()
        if loop.time() - moved_at > STALLED_SECONDS:
            demo.console.print(f"[red]no result for {STALLED_SECONDS:.0f} s: not waiting any longer[/]")
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _show_progress(demo: RunningDemo, gauge: Gauge) -> None:
    while True:
        gauge.show(await demo.progressed())
        await asyncio.sleep(LOOK_SECONDS)


async def _stop_service(demo: RunningDemo) -> None:
    """Stop the service with SIGTERM before the check, so that the check covers all of its work.

    Raises:
        ProcessError: its exit code is not 0.
    """
    service = demo.service
    await stop(service.process)
    if service.process.exit_code != 0:
        raise ProcessError(f"the service {_end(service.process.exit_code or 0)} after SIGTERM", service.log)


async def _check(demo: RunningDemo) -> Account:
    """Compare what was published, the results, and what the platform saw; print the summary.

    Raises:
        ProcessError: the platform does not say any more what it saw.
    """
    kinds, results = demo.published.kinds, demo.results
    await results.catch_up()
    try:
        texts = Counter([contact.reference or "" async for contact in demo.sandbox.stream_contacts()])
        sent = await demo.sandbox.summary()
    except httpx.TransportError as error:
        log = demo.service.log.with_name("sandbox.log")
        raise ProcessError("the sandbox platform does not answer: nobody knows what it has accepted", log) from error
    account = settle_accounts(
        produced={place: kind.invalid_reason for place, kind in kinds.items()}, results=results.seen, texts=texts
    )
    last_completed_at = max((result.completed_at for result in results.seen), default=demo.published.first_occurred_at)
    show_summary(
        demo.console,
        account,
        sent,
        immediate=acceptance_delay(results.seen, demo.published.of(RecordKind.ONE_TIME_PASSWORD)),
        normal=acceptance_delay(
            results.seen,
            demo.published.of(RecordKind.SHIPPING_NOTICE, RecordKind.APPOINTMENT_REMINDER, RecordKind.BULK),
        ),
        seconds=last_completed_at - demo.published.first_occurred_at,
    )
    return account


async def _until_interrupted(service: ServiceProcess) -> None:
    us = asyncio.current_task()
    assert us is not None
    try:
        await service.supervise()
    except asyncio.CancelledError:
        us.uncancel()  # Ctrl-C is the normal end


def _end(exit_code: int) -> str:
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"

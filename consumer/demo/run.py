"""The demo from its first process to its last sum: who is started, what is published, when it is over.

Judges nothing: `arithmetic.py` does. Draws nothing: `show.py` does.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

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
"""No new result for so long means that none will come; a kill costs a session time-out of 10 s and a rebalance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
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

    def note(self, partition: int, offset: int, records: Sequence[Publishable]) -> None:
        """Note an acknowledged batch."""
        for number, record in enumerate(records, start=offset):
            assert isinstance(record, GeneratedRecord)
            self.kinds[RecordPlace(partition, number)] = record.kind
            self.first_occurred_at = min(self.first_occurred_at or record.occurred_at, record.occurred_at)

    def of(self, *kinds: RecordKind) -> frozenset[RecordPlace]:
        """Return where the records of these kinds stand."""
        return frozenset(place for place, kind in self.kinds.items() if kind in kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStage:
    """Everything that runs while events are published."""

    script: Script
    console: Console
    cluster: Cluster
    sandbox: SandboxClient
    service: ServiceProcess
    results: ResultsReader
    ledger: PublishedRecords = field(default_factory=PublishedRecords)


async def play(script: Script, console: Console) -> Account:
    """Run the demo and return its account; with `keep`, only once the user has had enough.

    Raises:
        KafkaStartError, ClusterError, ProcessError, PublishError: it could not be played to its end.
    """
    async with AsyncExitStack() as stack:
        kept = stack.enter_context(logs_folder(console))
        logs = kept.folder
        cluster = await stack.enter_async_context(
            embedded_cluster(console) if script.cluster is None else users_cluster(script.cluster, console)
        )
        sandbox_url = await _start_sandbox(stack, logs, console)
        port = free_port()

        def invite(pid: int) -> None:
            console.print(f"service at http://127.0.0.1:{port}, process {pid}: kill it if you like")

        service = ServiceProcess(
            environment=service_environment(cluster, sandbox_url=sandbox_url, port=port),
            log=logs / "service.log",
            on_restarted=invite,
            on_died=lambda code: console.print(f"the service {_end(code)}; it is started again"),
        )
        await service.start()
        stack.push_async_callback(lambda: stop(service.process))
        await answers(f"http://127.0.0.1:{port}/readyz", service.process, name="service", log=service.log)
        invite(service.process.pid)  # from here on it is started again whenever it dies
        results = ResultsReader(topic=cluster.topics.results, connection=connection_of(cluster.kafka))
        stage = DemoStage(
            script=script,
            console=console,
            cluster=cluster,
            service=service,
            sandbox=await stack.enter_async_context(SandboxClient(sandbox_url)),
            results=await stack.enter_async_context(results),
        )
        await _perform(stage)
        if not script.keep:
            await _stop_in_order(stage)
        account = await _settle(stage)
        kept.wanted = not account.holds
        if script.keep:
            show_surroundings(console, service.environment, port=port, sandbox_url=sandbox_url, logs=logs)
            await _until_interrupted(service)
        return account


async def _start_sandbox(stack: AsyncExitStack, logs: Path, console: Console) -> str:
    """Start the platform's double as a process of its own; return its URL."""
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


async def _perform(stage: DemoStage) -> None:
    """Publish everything and read results until every record has one, or none comes any more."""
    failures: Sequence[Exception] = ()
    with progress_of(stage.script.events, stage.console) as gauge:
        try:
            async with asyncio.TaskGroup() as tasks:
                background = (
                    tasks.create_task(stage.service.supervise(), name="supervise the service"),
                    tasks.create_task(stage.results.read_on(), name="read results"),
                    tasks.create_task(_show_progress(stage, gauge), name="show progress"),
                )
                await _publish(stage)
                await _until_settled(stage)
                for task in background:
                    task.cancel()
        except* (ProcessError, PublishError) as group:
            failures = group.exceptions
        gauge.show(await _progress(stage))
    for failure in failures:
        raise failure


async def _publish(stage: DemoStage) -> None:
    script = stage.script
    publisher = TrafficPublisher(
        topic=stage.cluster.topics.events,
        connection=connection_of(stage.cluster.kafka),
        on_acknowledged=stage.ledger.note,
    )
    await publisher.start()
    try:
        now = SystemClock().now().wall
        events = generate(count=script.events, seed=script.seed, now=now, per_second=script.per_second)
        await publish_all(publisher, in_batches(events), per_second=script.per_second)
    finally:
        await publisher.stop()


async def _until_settled(stage: DemoStage) -> None:
    loop = asyncio.get_running_loop()
    count, moved_at = 0, loop.time()
    while not stage.ledger.kinds.keys() <= stage.results.places:
        if len(stage.results.places) > count:
            count, moved_at = len(stage.results.places), loop.time()
        if loop.time() - moved_at > STALLED_SECONDS:
            stage.console.print(f"[red]no result for {STALLED_SECONDS:.0f} s: not waiting any longer[/]")
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _show_progress(stage: DemoStage, gauge: Gauge) -> None:
    while True:
        gauge.show(await _progress(stage))
        await asyncio.sleep(LOOK_SECONDS)


async def _progress(stage: DemoStage) -> Progressed:
    texted = (await stage.sandbox.summary()).accepted
    return Progressed(published=len(stage.ledger.kinds), results=len(stage.results.places), texted=texted)


async def _stop_in_order(stage: DemoStage) -> None:
    """End the service as an orchestrator would, so that the account is of everything that it has ever done.

    Raises:
        ProcessError: it did not drain and end well.
    """
    service = stage.service
    await stop(service.process)
    if service.process.exit_code != 0:
        raise ProcessError(f"the service {_end(service.process.exit_code or 0)} after SIGTERM", service.log)


async def _settle(stage: DemoStage) -> Account:
    """Bring together what was published, what was reported and what the platform saw; show it."""
    kinds, results = stage.ledger.kinds, stage.results
    await results.catch_up()
    texts = Counter([contact.reference or "" async for contact in stage.sandbox.stream_contacts()])
    account = settle_accounts(
        produced={place: kind.invalid_reason for place, kind in kinds.items()}, results=results.seen, texts=texts
    )
    last_completed_at = max((result.completed_at for result in results.seen), default=stage.ledger.first_occurred_at)
    show_summary(
        stage.console,
        account,
        await stage.sandbox.summary(),
        immediate=acceptance_delay(results.seen, stage.ledger.of(RecordKind.ONE_TIME_PASSWORD)),
        normal=acceptance_delay(
            results.seen, stage.ledger.of(RecordKind.SHIPPING_NOTICE, RecordKind.APPOINTMENT_REMINDER, RecordKind.BULK)
        ),
        seconds=last_completed_at - stage.ledger.first_occurred_at,
    )
    return account


async def _until_interrupted(service: ServiceProcess) -> None:
    us = asyncio.current_task()
    assert us is not None
    try:
        await service.supervise()
    except asyncio.CancelledError:
        us.uncancel()  # Ctrl-C is how this is meant to end


def _end(exit_code: int) -> str:
    if exit_code < 0:
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"

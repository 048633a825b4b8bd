"""A stage for the real service: topics and a group of its own, the sandbox platform, instances as processes.

Judges nothing but the account: every text and every result, person by person.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson

from consumer.demo.arithmetic import Account, RecordPlace, settle_accounts
from consumer.demo.child_process import ChildProcess
from consumer.demo.processes import command_line
from consumer.demo.surroundings import SCHEDULE_FIELD, plain_environment
from consumer.edge.clock import SystemClock
from consumer.edge.kafka.connection import KafkaConnection
from consumer.sandbox.client import SandboxClient
from consumer.sandbox.server import Sandbox
from consumer.traffic.generator import generate
from consumer.traffic.pace import in_batches, publish_all
from consumer.traffic.publisher import Publishable, TrafficPublisher
from consumer.traffic.record import GeneratedRecord
from tests.service.results import Results
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.records import Codec, Written, write
from tests.support.topics import Topics

START_SECONDS = 60.0
END_SECONDS = 60.0
TAIL_LINES = 25

Settings = Mapping[str, str | None]

QUICK: Settings = {
    "WINDOW__DURATION": "200ms",
    "API__TIMEOUT": "5s",
    "SHUTDOWN__GRACE": "20s",
    "DELIVERY__RETRY__BASE": "20ms",
    "DELIVERY__RETRY__MAX": "100ms",
}
"""Waits that suit tests: whatever is tried again, is tried again soon."""

PATIENT: Settings = {"API__TIMEOUT": "14s"}
"""For requests that the platform holds while a test looks at them: on a slow machine it may look for seconds."""


class Instance:
    """`campaign-consumer run`, a process with a log of its own. Killed with the test, if nothing else ends it."""

    def __init__(self, process: ChildProcess, log: Path, *, format_: str) -> None:
        self._process = process
        self.log = log
        self._format = format_
        self.url = ""
        """Its HTTP side, known once it has started."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Negative for the signal that ended it; None while it runs."""
        return self._process.exit_code

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """Its log lines, or those of one event."""
        whole = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        lines = [orjson.loads(line) for line in whole if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if event in {None, line["event"]}]

    async def until_logged(self, event: str) -> dict[str, Any]:
        """The first log line of this event."""

        async def look() -> dict[str, Any] | None:
            found = self.lines(event)
            if not found and self.exit_code is not None:
                raise AssertionError(f"it ended with exit code {self.exit_code} before it said {event!r}")
            return found[0] if found else None

        return await eventually(look, within_seconds=START_SECONDS, what=f"{event!r} in {self.log}")

    async def get(self, path: str, *, accept: str = "*/*") -> httpx.Response:
        """Ask its HTTP side."""
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=10.0) as http:  # noqa: S501 - plain HTTP
            return await http.get(self.url + path, headers={"Accept": accept})

    async def status(self) -> dict[str, Any]:
        """What `GET /status` says."""
        answer: dict[str, Any] = (await self.get("/status")).json()
        return answer

    async def until_ready(self) -> None:
        """Return once it has joined its group and says that it does its work."""
        self.url = (await self.until_logged("started"))["http_url"].rstrip("/")

        async def ready() -> bool:
            return (await self.get("/readyz")).is_success

        await eventually(ready, within_seconds=START_SECONDS, what=f"{self.url}/readyz is content")

    async def until_owns(self, partitions: int) -> None:
        """Return once it works on exactly so many partitions."""

        async def owns() -> bool:
            states = [partition["state"] for partition in (await self.status())["partitions"]]
            return states == ["owned"] * partitions

        await eventually(owns, within_seconds=START_SECONDS, what=f"{partitions} partitions owned by {self.url}")

    async def until_settled(self, count: int) -> None:
        """Return once it has found the outcome of so many events."""

        async def settled() -> bool:
            results: dict[str, int] = (await self.status())["results"]
            return sum(results.values()) >= count

        await eventually(settled, within_seconds=START_SECONDS, what=f"{count} events settled by {self.url}")

    async def until_holds(self, count: int) -> None:
        """Return once it has exactly so many events in hand."""

        async def holds() -> bool:
            buffer: dict[str, int] = (await self.status())["buffer"]
            return buffer["events"] == count

        await eventually(holds, within_seconds=START_SECONDS, what=f"{count} events in hand of {self.url}")

    async def until_holds_at_least(self, count: int) -> int:
        """Return how many events it has in hand, once it has so many."""

        async def held() -> int:
            events: int = (await self.status())["buffer"]["events"]
            return events if events >= count else 0

        return await eventually(held, within_seconds=START_SECONDS, what=f"{count} events or more held by {self.url}")

    async def until_obeys(self, holds: int) -> None:
        """Return once it knows of so many holds: it may take 2 s, and starts requests until then."""

        async def knows() -> bool:
            return len((await self.status())["holds"]["holds"]) == holds

        await eventually(knows, within_seconds=START_SECONDS, what=f"{holds} holds known by {self.url}")

    def send(self, what: signal.Signals) -> None:
        """Send it a signal, and wait for nothing."""
        self._process.send(what)

    async def ended(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.to_thread(self._process.wait, END_SECONDS)

    async def stop(self) -> int:
        """SIGTERM it; its exit code, once it has ended."""
        self.send(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.send(signal.SIGKILL)
        assert await self.ended() == -signal.SIGKILL

    def last_words(self) -> list[str]:
        """What it says of its end, where something has kept it from going on."""
        return [line.get("mistake") or line["obstacle"] for line in self.lines() if line["level"] == "critical"]

    def surprises(self) -> list[str]:
        """Lines about what it did not expect; in JSON, lines that are none."""
        text = self.log.read_text("utf-8") if self.log.exists() else ""
        wrong = [line for line in text.splitlines() if "Traceback" in line or "unexpected error" in line]
        if self._format == "json":
            wrong += [line for line in text.splitlines() if not _is_json(line)]
        return wrong

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-TAIL_LINES:])


def _is_json(line: str) -> bool:
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


@dataclass(slots=True, kw_only=True)
class Stage:
    """Everything around the service. `texts` and `results` are what it is judged by."""

    kafka: Cluster
    topics: Topics
    events: str
    results_topic: str
    dead_letter_topic: str
    partitions: int
    group: str
    folder: Path
    sandbox: Sandbox
    ask: SandboxClient
    results: Results
    instances: list[Instance] = field(default_factory=list)
    surroundings: dict[str, str] = field(default_factory=dict)
    """Variables of the instances' environment that are no settings."""
    published: dict[RecordPlace, str | None] = field(default_factory=dict)
    """Every record, with the reason that its result must give where it is invalid."""

    @property
    def journal(self) -> str:
        """The service's own topic."""
        return f"{self.events}-journal"

    @property
    def control(self) -> str:
        """Where operators say what is held."""
        return f"{self.events}-control"

    def environment(self, settings: Settings | None = None) -> dict[str, str]:
        """The service's environment; `settings` are named without their prefix, and win. None leaves one out."""
        chosen: dict[str, str | None] = {
            "KAFKA__BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KAFKA__GROUP_ID": self.group,
            "KAFKA__EVENTS_TOPICS": self.events,
            "KAFKA__CONTROL_TOPIC": self.control,
            "KAFKA__RESULTS_TOPIC": self.results_topic,
            "KAFKA__DEAD_LETTER_TOPIC": self.dead_letter_topic,
            "API__URL": self.sandbox.url,
            "API__SERVER_KEY": self.sandbox.server_key,
            "API__FIELD_NAMES__SCHEDULED_AT": SCHEDULE_FIELD,
            "HTTP__PORT": "0",
            "LOG__FORMAT": "json",
            **QUICK,
            **(settings or {}),
        }
        given = {f"CAMPAIGN_{name}": value for name, value in chosen.items() if value is not None}
        return {**plain_environment(), **self.surroundings, **given}

    async def launch(self, settings: Settings | None = None) -> Instance:
        """Start an instance and wait for nothing."""
        log = self.folder / f"instance-{len(self.instances) + 1}.log"
        environment = self.environment(settings)
        process = await asyncio.to_thread(ChildProcess.start, command_line("run"), output=log, environment=environment)
        instance = Instance(process, log, format_=environment.get("CAMPAIGN_LOG__FORMAT", "json"))
        self.instances.append(instance)
        return instance

    async def start(self, settings: Settings | None = None) -> Instance:
        """Start an instance; it has joined the group when this returns."""
        instance = await self.launch(settings)
        await instance.until_ready()
        return instance

    async def publish(self, records: Iterable[Written], *, codec: Codec | None = None) -> list[RecordPlace]:
        """Write events; where they stand, once all are acknowledged."""
        written = await write(self.kafka.bootstrap_servers, self.events, records, codec=codec)
        places = [RecordPlace(*place) for place in written]
        self.published.update(dict.fromkeys(places))
        return places

    async def publish_generated(self, count: int, *, seed: int = 7) -> None:
        """Publish realistic traffic, keyed by customer, and return once all of it is acknowledged."""

        def note(partition: int, offset: int, records: Sequence[Publishable]) -> None:
            for number, record in enumerate(records, start=offset):
                assert isinstance(record, GeneratedRecord)
                self.published[RecordPlace(partition, number)] = record.kind.invalid_reason

        connection = KafkaConnection(bootstrap_servers=tuple(self.kafka.bootstrap_servers.split(",")))
        publisher = TrafficPublisher(topic=self.events, connection=connection, on_acknowledged=note)
        await publisher.start()
        try:
            await publish_all(publisher, in_batches(generate(count=count, seed=seed, now=SystemClock().now().wall)))
        finally:
            await publisher.stop()

    async def texts(self) -> Counter[str]:
        """How often the platform texted each external reference."""
        return Counter([contact.reference or "" async for contact in self.ask.stream_contacts()])

    async def account(self) -> Account:
        """Add up every record, result and text; the test sees where they do not agree."""
        await self.results.catch_up()
        account = settle_accounts(produced=self.published, results=self.results.seen, texts=await self.texts())
        assert not account.faults, account.faults[:10]
        return account

    async def close(self) -> None:
        """End whatever still runs, at once."""
        for instance in self.instances:
            if instance.exit_code is None:
                instance.send(signal.SIGKILL)
                await instance.ended()


@asynccontextmanager
async def stage_on(
    kafka: Cluster, folder: Path, *, partitions: int = 1, results_partitions: int | None = None
) -> AsyncIterator[Stage]:
    """A stage on the run's Kafka, with topics that nobody else has. A failure tells what the instances said last."""
    async with AsyncExitStack() as stack:
        topics = await stack.enter_async_context(Topics(kafka.bootstrap_servers))
        events = await topics.create("events", partitions=partitions)
        results_topic = await topics.create("results", partitions=results_partitions or partitions)
        await topics.create_named(f"{events}-journal", partitions=partitions)
        await topics.create_named(f"{events}-control", settings={"cleanup.policy": "compact"})
        sandbox = await stack.enter_async_context(Sandbox(schedule_field=SCHEDULE_FIELD))
        stage = Stage(
            kafka=kafka,
            topics=topics,
            events=events,
            results_topic=results_topic,
            dead_letter_topic=await topics.create("dead-letter"),
            partitions=partitions,
            group=f"group-of-{events}",
            folder=folder,
            sandbox=sandbox,
            ask=await stack.enter_async_context(SandboxClient(sandbox.url)),
            results=await stack.enter_async_context(
                Results(kafka.bootstrap_servers, results_topic, partitions=results_partitions or partitions)
            ),
        )
        try:
            yield stage
            surprises = [line for instance in stage.instances for line in instance.surprises()]
            assert not surprises, "no instance has ever met what it did not expect, or broken its log"
        except BaseException as error:
            for instance in stage.instances:
                error.add_note(f"--- the end of {instance.log} (exit code {instance.exit_code})\n{instance.tail()}")
            raise
        finally:
            await stage.close()

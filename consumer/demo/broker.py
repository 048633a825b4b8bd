"""One broker of the embedded Apache Kafka: its properties, its process, and whether it answers. Owns no cluster."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from consumer.demo.child_process import ChildProcess
from consumer.demo.java import ENVIRONMENT, Java

START_SECONDS = 120.0  # three brokers take 9 on two idle cores; a busy machine takes longer
STOP_SECONDS = 30.0  # a controlled shutdown takes 1 to 3, writing an AOT cache 10; after that the broker is killed
FORMAT_SECONDS = 60.0  # a JVM that writes one file: 1 to 3
HEAP_MEBIBYTES = 512
_POLL_SECONDS = 0.05
_TAIL_LINES = 25


class KafkaStartError(RuntimeError):
    """The embedded Apache Kafka did not start; the message says why and what to do."""


class PortTakenError(KafkaStartError):
    """Another process took a port before the broker could bind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPlace:
    """The node ID, ports and folder of one broker, which is a controller as well."""

    number: int
    port: int
    controller_port: int
    folder: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def voter(self) -> str:
        """Its entry in `controller.quorum.voters`."""
        return f"{self.number}@127.0.0.1:{self.controller_port}"

    @property
    def properties_file(self) -> Path:
        return self.folder / "server.properties"

    @property
    def log_file(self) -> Path:
        """The output of its JVM."""
        return self.folder / "broker.log"


class Broker:
    """One broker of a cluster of `places`; `settings` override the properties below.

    `remove_if_killed` is a folder that is removed if this process is killed, since `stop` cannot do it then.
    """

    def __init__(
        self,
        place: BrokerPlace,
        places: Sequence[BrokerPlace],
        settings: Mapping[str, str],
        *,
        remove_if_killed: Path | None = None,
    ) -> None:
        self.place = place
        self._remove_if_killed = remove_if_killed
        self._process: ChildProcess | None = None
        place.folder.mkdir(parents=True, exist_ok=True)
        properties = {**_properties(place, places), **settings}
        lines = "".join(f"{name}={value}\n" for name, value in properties.items())
        place.properties_file.write_text(lines, "utf-8")

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.exit_code is None

    @property
    def pid(self) -> int:
        """The JVM's process ID. Raises KafkaStartError when it does not run."""
        return self._running().pid

    async def format(self, java: Java, cluster_id: str) -> None:
        """Format the data folder for a cluster, unless that was done before."""
        command = java.command(
            *("kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster_id),
            *("-c", str(self.place.properties_file)),
            log_level="warn",
        )
        formatting = await asyncio.to_thread(self._watcher, command)
        try:
            code = await asyncio.to_thread(formatting.wait, FORMAT_SECONDS)
        finally:
            formatting.send(signal.SIGKILL)
        if code:
            raise KafkaStartError(f"broker {self.place.number} could not prepare its folder:\n{self.log_tail()}")

    async def start(self, java: Java) -> None:
        """Start the process; `until_ready` waits until the broker answers."""
        if self.runs:
            raise KafkaStartError(f"broker {self.place.number} runs already")
        command = java.command("kafka.Kafka", str(self.place.properties_file), heap_mebibytes=HEAP_MEBIBYTES)
        self._process = await asyncio.to_thread(self._watcher, command)

    async def until_ready(self, numbers: frozenset[int]) -> None:
        """Wait until this broker says that it knows these brokers, including itself.

        Raises KafkaStartError when it ends or START_SECONDS are over, PortTakenError when a port was taken.
        """
        process = self._running()
        try:
            async with asyncio.timeout(START_SECONDS):
                while not numbers <= await self._known_brokers():
                    if process.exit_code is not None:
                        raise self._start_failure(f"ended with exit code {process.exit_code}")
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise self._start_failure(f"did not answer within {START_SECONDS:g} s") from error

    def send(self, what: signal.Signals) -> None:
        """Send the JVM a signal. Raises KafkaStartError when it does not run."""
        self._running().send(what)

    async def until_ended(self) -> None:
        """Wait until the process has ended; after STOP_SECONDS it is killed. Does nothing when it does not run."""
        process = self._process
        if process is None:
            return
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except TimeoutError:
            process.send(signal.SIGKILL)
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        self._process = None

    def log_tail(self) -> str:
        """Return the last lines of the JVM's output."""
        lines = self.place.log_file.read_text("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    async def _known_brokers(self) -> frozenset[int]:
        try:
            connection = await create_conn("127.0.0.1", self.place.port, request_timeout_ms=2_000)
        except (OSError, KafkaError, TimeoutError):
            return frozenset()
        try:
            metadata = await connection.send(MetadataRequest([]))
        except (OSError, KafkaError, TimeoutError):
            return frozenset()
        finally:
            connection.close()
        return frozenset(broker[0] for broker in metadata.brokers)

    def _start_failure(self, what: str) -> KafkaStartError:
        tail = self.log_tail()
        kind = PortTakenError if "Address already in use" in tail else KafkaStartError
        kept = f", {self.place.log_file}" if self._remove_if_killed is None else ""
        return kind(f"broker {self.place.number} {what}; the end of its log{kept}:\n{tail}")

    def _running(self) -> ChildProcess:
        if self._process is None:
            raise KafkaStartError(f"broker {self.place.number} does not run: start it first")
        return self._process

    def _watcher(self, command: Sequence[str]) -> ChildProcess:
        return ChildProcess.start(
            command,
            output=self.place.log_file,
            environment=ENVIRONMENT,
            remove_if_killed=self._remove_if_killed,
        )


def _properties(place: BrokerPlace, places: Sequence[BrokerPlace]) -> dict[str, str]:
    copies = str(len(places))
    in_sync = str(min(2, len(places)))  # with three: one may be down, and nothing acknowledged is lost
    return {
        "process.roles": "broker,controller",
        "node.id": str(place.number),
        "listeners": f"PLAINTEXT://{place.address},CONTROLLER://127.0.0.1:{place.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{place.address}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(other.voter for other in places),
        "log.dirs": str(place.folder / "data"),
        # as in a production cluster
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "unclean.leader.election.enable": "false",
        # fast starts, rebalances and failovers
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        "controller.quorum.election.timeout.ms": "500",
        "controller.quorum.fetch.timeout.ms": "1000",
        # few partitions and small buffers for Kafka's internal topics
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }

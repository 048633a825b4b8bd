"""An Apache Kafka of one or three brokers on this machine, for the demo and for tests. Listens on loopback only.

It needs no installed Java, and the network only for its first start. It ends with the process that started it, also when
that process is killed.
"""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from consumer.demo import aot_cache, jars
from consumer.demo.broker import Broker, KafkaStartError, PortTakenError
from consumer.demo.java import Java, JavaMissingError
from consumer.demo.places import find_places, new_cluster_id

__all__ = ["ApacheKafka", "KafkaStartError"]

_ATTEMPTS = 3  # another process may take a free port before the broker binds it


def _say_nothing(_line: str) -> None:
    pass


class ApacheKafka:
    """Use as `async with ApacheKafka(brokers=3) as kafka`, or call `start` and `stop`; brokers are numbered from 1.

    It belongs to no event loop: it may be started in one and used from another.
    """

    def __init__(
        self,
        *,
        brokers: int = 1,
        folder: Path | None = None,
        settings: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = _say_nothing,
    ) -> None:
        """Start nothing yet.

        `folder` keeps the data after `stop`; without it a temporary folder is used and removed. `settings` are added to
        every broker's properties. `tell` gets a line for people before each step that takes long.
        """
        if brokers not in {1, 3}:
            raise ValueError(f"brokers={brokers}: one broker or three")
        self._count = brokers
        self._kept_folder = folder
        self._folder: Path | None = None
        self._settings = dict(settings or {})
        self._tell = tell
        self._java: Java | None = None
        self._brokers: tuple[Broker, ...] = ()

    @property
    def bootstrap_servers(self) -> str:
        """All brokers' addresses, in the form that clients take; empty while nothing is started."""
        return ",".join(broker.place.address for broker in self._brokers)

    @property
    def folder(self) -> Path:
        """Where the brokers' data and logs are."""
        if self._folder is None:
            raise KafkaStartError("the embedded Apache Kafka is not started")
        return self._folder

    def broker(self, number: int = 1) -> Broker:
        """One broker, running or not."""
        for broker in self._brokers:
            if broker.place.number == number:
                return broker
        raise KafkaStartError(f"there is no broker {number}: {len(self._brokers)} are started")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Download missing jars, start every broker and wait until all know each other.

        Raises KafkaStartError when that fails; no process is left running then.
        """
        try:
            class_path = await asyncio.to_thread(jars.fetch, self._tell)
            recorded = await aot_cache.recording(class_path, self._tell)
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    return await self._start_once(class_path, recorded)
                except PortTakenError:
                    if attempt == _ATTEMPTS:
                        raise
        except (jars.JarsError, JavaMissingError) as error:
            raise KafkaStartError(str(error)) from error

    async def stop(self) -> None:
        """Stop every broker, and remove the data unless its folder was given. Does nothing when nothing runs."""
        stopping = signal.SIGKILL if self._kept_folder is None else signal.SIGTERM
        for broker in self._brokers:
            if broker.runs:
                broker.send(stopping)
                broker.send(signal.SIGCONT)
        for broker in self._brokers:
            await broker.until_ended()
        if self._folder is not None and self._kept_folder is None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._folder = None
        self._brokers = ()

    async def _start_once(self, class_path: list[Path], recorded: Path | None) -> None:
        self._folder = folder = self._kept_folder or Path(tempfile.mkdtemp(prefix="campaign-kafka-"))
        try:
            (folder / "tmp").mkdir(parents=True, exist_ok=True)
            self._java = java = Java(class_path=tuple(class_path), temporary_folder=folder / "tmp", recorded=recorded)
            places = list(find_places(self._count, folder))
            removed = folder if self._kept_folder is None else None
            self._brokers = tuple(Broker(place, places, self._settings, remove_if_killed=removed) for place in places)
            await self._format(java, new_cluster_id())
            for broker in self._brokers:
                await broker.start(java)
            for broker in self._brokers:
                await broker.until_ready(frozenset(place.number for place in places))
        except BaseException:
            await self.stop()
            raise

    async def _format(self, java: Java, cluster_id: str) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for broker in self._brokers:
                    tasks.create_task(broker.format(java, cluster_id), name=f"format broker {broker.place.number}")
        except* KafkaStartError as errors:
            first = errors.exceptions[0]
        else:
            return
        raise first

    # --- to break it --------------------------------------------------------------------------------------------------

    async def kill_broker(self, number: int = 1) -> None:
        """Kill it with SIGKILL. Returns when the process has ended."""
        broker = self.broker(number)
        broker.send(signal.SIGKILL)
        await broker.until_ended()

    async def stop_broker(self, number: int = 1) -> None:
        """Shut it down in order (SIGTERM); it hands its partition leaderships over first."""
        broker = self.broker(number)
        broker.send(signal.SIGTERM)
        await broker.until_ended()

    def freeze_broker(self, number: int = 1) -> None:
        """Freeze it with SIGSTOP: its connections stay open, and nothing answers."""
        self.broker(number).send(signal.SIGSTOP)

    def thaw_broker(self, number: int = 1) -> None:
        """Continue a frozen broker (SIGCONT)."""
        self.broker(number).send(signal.SIGCONT)

    async def start_broker(self, number: int = 1) -> None:
        """Start a killed or stopped broker on its old port with its old data, and wait until it answers.

        Raises KafkaStartError when it does not. One of three brokers needs a second one that runs or starts.
        """
        broker = self.broker(number)
        assert self._java is not None, "a broker exists, so the cluster was started"
        await broker.start(self._java)
        await broker.until_ready(frozenset({number}))

    def tool(self, main_class: str, *arguments: str) -> list[str]:
        """Return the command line that runs one of Kafka's own tools, such as org.apache.kafka.tools.TopicCommand."""
        if self._java is None:
            raise KafkaStartError("the embedded Apache Kafka is not started")
        return self._java.command(main_class, *arguments, log_level="error")


async def _prepare() -> None:
    async with ApacheKafka(tell=print) as kafka:
        print(f"Apache Kafka {jars.KAFKA_VERSION} starts and answers at {kafka.bootstrap_servers}.")  # noqa: T201 - a command


if __name__ == "__main__":  # `make setup` runs this to download everything, so that later starts are fast
    try:
        asyncio.run(_prepare())
    except KafkaStartError as error:
        sys.exit(str(error))

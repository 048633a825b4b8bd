"""What a demo runs in: log folder, topics, environment variables, and an embedded Apache Kafka or the user's cluster."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from rich.console import Console

from config.settings import Kafka
from consumer.demo.apache_kafka import ApacheKafka
from consumer.demo.jars import KAFKA_VERSION
from consumer.edge.clock import new_process_id
from consumer.edge.kafka.connection import KafkaRefusedError, KafkaUnreachableError, reach, words
from consumer.traffic.connection import connection_of

SERVER_KEY = "demo-key"
SCHEDULE_FIELD = "scheduleAt"
CONNECTION_SETTINGS = (
    "security_protocol",
    "sasl_mechanism",
    "sasl_username",
    "ssl_cafile",
    "ssl_certfile",
    "ssl_keyfile",
)


class ClusterError(Exception):
    """The user's cluster cannot be used. The message is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The demo's topics; on a user's cluster their names have a unique prefix."""

    prefix: str = ""

    @property
    def events(self) -> str:
        """The events topic."""
        return f"{self.prefix}contact-events"

    @property
    def results(self) -> str:
        """The results topic."""
        return f"{self.prefix}campaign-send-results"

    @property
    def dead_letter(self) -> str:
        """The dead-letter topic."""
        return f"{self.events}-dead-letter"

    @property
    def group(self) -> str:
        """The consumer group, after which the control topic is named."""
        return f"{self.prefix}campaign-consumer"

    @property
    def all(self) -> Sequence[str]:
        """Every topic that the service creates."""
        return (self.events, f"{self.events}-journal", self.results, self.dead_letter, f"{self.group}-control")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The brokers, and the demo's topics there."""

    kafka: Kafka
    topics: Topics

    @property
    def bootstrap_servers(self) -> str:
        """The brokers' addresses, in the form of the setting."""
        return ",".join(self.kafka.bootstrap_servers)

    def environment(self) -> Mapping[str, str]:
        """Return the environment variables with which other commands reach the same brokers and topics."""
        found = {
            "CAMPAIGN_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "CAMPAIGN_KAFKA__GROUP_ID": self.topics.group,
            "CAMPAIGN_KAFKA__EVENTS_TOPICS": self.topics.events,
            "CAMPAIGN_KAFKA__RESULTS_TOPIC": self.topics.results,
            "CAMPAIGN_KAFKA__DEAD_LETTER_TOPIC": self.topics.dead_letter,
        }
        for name in CONNECTION_SETTINGS:
            value = getattr(self.kafka, name)
            if value is not None:
                found[f"CAMPAIGN_KAFKA__{name.upper()}"] = str(value)
        if self.kafka.sasl_password is not None:
            found["CAMPAIGN_KAFKA__SASL_PASSWORD"] = self.kafka.sasl_password.get_secret_value()
        return found


def plain_environment() -> Mapping[str, str]:
    """Return the environment without the user's own CAMPAIGN_* variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CAMPAIGN_")}


def service_environment(cluster: Cluster, *, sandbox_url: str, port: int) -> Mapping[str, str]:
    """Return the service's whole environment."""
    return {
        **plain_environment(),
        **cluster.environment(),
        "CAMPAIGN_KAFKA__CREATE_TOPICS": "true",
        "CAMPAIGN_API__URL": f"{sandbox_url}/v2/sms/send/list",
        "CAMPAIGN_API__SERVER_KEY": SERVER_KEY,
        "CAMPAIGN_API__FIELD_NAMES__SCHEDULED_AT": SCHEDULE_FIELD,
        "CAMPAIGN_HTTP__PORT": str(port),
        "CAMPAIGN_LOG__FORMAT": "console",
    }


@dataclass(slots=True)
class ProcessLogs:
    """The folder of the processes' logs."""

    folder: Path
    wanted: bool = False
    """Whether something went wrong, so that the logs are kept."""


@contextmanager
def logs_folder(console: Console) -> Iterator[ProcessLogs]:
    """Yield a folder for logs. It is removed at the end; if something went wrong, it is kept and its path is printed."""
    logs = ProcessLogs(Path(tempfile.mkdtemp(prefix="campaign-demo-")))
    try:
        yield logs
    except Exception:
        logs.wanted = True
        raise
    finally:
        if logs.wanted and any(logs.folder.iterdir()):
            console.print(f"the logs are in {logs.folder}", soft_wrap=True)
        else:
            shutil.rmtree(logs.folder, ignore_errors=True)


@asynccontextmanager
async def embedded_cluster(console: Console) -> AsyncIterator[Cluster]:
    """Run Apache Kafka on this machine, and stop it at the end.

    Raises:
        KafkaStartError: it did not start.
    """
    async with ApacheKafka(tell=console.print) as kafka:
        console.print(f"Apache Kafka {KAFKA_VERSION} at {kafka.bootstrap_servers}")
        yield Cluster(kafka=Kafka(bootstrap_servers=(kafka.bootstrap_servers,)), topics=Topics())


@asynccontextmanager
async def users_cluster(kafka: Kafka, console: Console) -> AsyncIterator[Cluster]:
    """Use the user's brokers, with topics of our own that are deleted at the end.

    Raises:
        ClusterError: no broker answers.
    """
    cluster = Cluster(kafka=kafka, topics=Topics(prefix=f"demo-{new_process_id()[:8]}-"))
    connection = connection_of(kafka)
    try:
        await reach(connection)
        admin = AIOKafkaAdminClient(**connection.client_arguments())
        await admin.start()
    except (KafkaRefusedError, KafkaUnreachableError) as error:
        raise ClusterError(str(error)) from error
    except (KafkaError, OSError) as error:
        raise ClusterError(f"the brokers at {connection} do not answer ({words(error)}): try again") from error
    console.print(f"Apache Kafka at {cluster.bootstrap_servers}, topics {cluster.topics.prefix}*")
    try:
        yield cluster
    finally:
        try:
            await admin.delete_topics(list(cluster.topics.all))
        except KafkaError as error:
            console.print(f"could not delete the topics {cluster.topics.prefix}*: {type(error).__name__}")
        await admin.close()

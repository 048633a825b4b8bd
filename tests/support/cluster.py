"""What a test needs of a Kafka, whoever runs it. Starts none."""

from dataclasses import dataclass
from typing import Protocol


class Cluster(Protocol):
    """A Kafka that answers; `consumer.demo.apache_kafka.ApacheKafka` is one."""

    @property
    def bootstrap_servers(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SomebodyElsesKafka:
    """A cluster that runs already, and goes on after the tests."""

    bootstrap_servers: str

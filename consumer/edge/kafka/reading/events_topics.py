"""Which events topics cannot be read, and why, as text that says what to do. Asks no broker, reads no record."""

from collections.abc import Collection, Iterable, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import TopicAuthorizationFailedError

from consumer.edge.kafka.clients import client_of, last_read_at
from consumer.edge.kafka.connection import KafkaConnection, refused

GONE_SECONDS = 5.0
"""A broker that has just started may not know a topic for a moment."""
START_SECONDS = 30.0
"""A topic that is refused this soon after the start, and was never read, is an error in the configuration."""


class EventsTopics:
    """Tracks which topics are gone or refused, so that only a person can make them readable; the others are read."""

    def __init__(self, topics: Iterable[str], connection: KafkaConnection) -> None:
        self._topics = tuple(topics)
        self._connection = connection
        self._assigned: frozenset[str] = frozenset()
        self._started_at: float | None = None
        self._read: set[str] = set()
        """Topics for which a fetch was answered, with or without records."""
        self._absent_since: dict[str, float] = {}
        self._absent: dict[str, str] = {}
        self._refused: dict[str, str] = {}
        self._read_at: dict[str, int] = {}
        """For refused topics: when they were last read, by the client's clock."""

    def unreadable(self) -> Mapping[str, str]:
        """Return the topics that cannot be read, and why."""
        return self._absent | self._refused

    def partition_count(self, consumer: AIOKafkaConsumer) -> int:
        """Return how many partitions all topics have together, 0 where the client does not know those of each."""
        cluster = client_of(consumer).cluster
        counts = [len(cluster.partitions_for_topic(topic) or ()) for topic in self._topics]
        return sum(counts) if all(counts) else 0

    def assigned(self, topics: Collection[str]) -> None:
        """Note the topics of our assignment: whether we may read others does not matter."""
        self._assigned = frozenset(topics)

    def look(self, consumer: AIOKafkaConsumer, now: float) -> Collection[str]:
        """Update from what the client knows; return topics that were refused and are read again."""
        if self._started_at is None:
            self._started_at = now
        cluster = client_of(consumer).cluster
        for topic in self._topics:
            if topic not in self._read and last_read_at(consumer, topic):
                self._read.add(topic)
            if cluster.partitions_for_topic(topic) is not None:
                self._absent_since.pop(topic, None)
                self._absent.pop(topic, None)
            elif topic in cluster.unauthorized_topics:
                self._absent[topic] = self._words(topic)
            elif now - self._absent_since.setdefault(topic, now) > GONE_SECONDS:
                self._absent[topic] = "it does not exist (any more): create it with as many partitions as it had"
        self._refused = {topic: why for topic, why in self._refused.items() if topic in self._assigned}
        again = [topic for topic in self._refused if last_read_at(consumer, topic) > self._read_at[topic]]
        for topic in again:
            del self._refused[topic]
        return again

    def refuse(self, consumer: AIOKafkaConsumer, topic: str, now: float) -> None:
        """Note that a broker refuses to let us read a topic.

        Raises:
            KafkaRefusedError: the topic was refused from the start.
        """
        assert self._started_at is not None, "look comes first"
        if topic not in self._read and now - self._started_at <= START_SECONDS:
            raise refused(TopicAuthorizationFailedError(topic), self._connection)
        self._refused[topic] = self._words(topic)
        self._read_at[topic] = last_read_at(consumer, topic)

    def _words(self, topic: str) -> str:
        return str(refused(TopicAuthorizationFailedError(topic), self._connection))

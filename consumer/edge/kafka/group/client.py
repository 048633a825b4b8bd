"""Makes the Kafka client of a group member: its sizes, time-outs, and patches. Fetches nothing."""

from collections.abc import Callable, Collection

from aiokafka import AIOKafkaConsumer, TopicPartition

from config.membership import Membership
from consumer.edge.kafka.clients import allow_long_joins, client_of, forget_late_commits, hand_out_records
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.group.urgent_fetches import fetch_apart
from consumer.edge.kafka.record_batches import Patience

FETCH_BYTES = 16 * 1024 * 1024
"""The most that one broker's answer holds, and so the unread data in memory: less than the buffer's bound."""
PARTITION_FETCH_BYTES = 1024 * 1024
"""The most of one partition in an answer: some 2,500 events, so that one partition does not delay the others.

A `getmany` loop reads as fast with 256 KiB and with 2 MiB (within a machine's noise): memory decides."""
FETCH_WAIT_SECONDS = 0.1
"""How long a broker waits for records. A partition resumed meanwhile is not asked for until it has answered."""
LOOK_AT_TOPICS_SECONDS = 10.0
"""How soon a topic's new partitions are noticed; the client's default is five minutes."""
FOREVER_MS = 7 * 24 * 60 * 60 * 1000
"""The longest pause between two fetches: a member that the client itself removes for a pause may never rejoin."""

ANSWER_SECONDS = 5.0
"""After a longer silence the client asks who the leader is: the old one may be frozen, and another elected."""


def new_group_client(
    connection: KafkaConnection, group: str, *, membership: Membership, instance_id: str | None
) -> AIOKafkaConsumer:
    """Return a client that neither commits nor chooses a position by itself."""
    consumer = AIOKafkaConsumer(
        **connection.client_arguments(),
        group_id=group,
        group_instance_id=instance_id,
        auto_offset_reset="none",
        enable_auto_commit=False,
        isolation_level="read_committed",
        heartbeat_interval_ms=int(membership.heartbeat_seconds * 1000),
        session_timeout_ms=int(membership.session_seconds * 1000),
        rebalance_timeout_ms=int(membership.rebalance_seconds * 1000),
        request_timeout_ms=int(ANSWER_SECONDS * 1000),
        metadata_max_age_ms=int(LOOK_AT_TOPICS_SECONDS * 1000),
        max_poll_interval_ms=FOREVER_MS,
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        fetch_max_wait_ms=int(FETCH_WAIT_SECONDS * 1000),
    )
    allow_long_joins(client_of(consumer), membership.request_seconds)
    return consumer


async def start_group_client(
    consumer: AIOKafkaConsumer,
    *,
    patience: Patience,
    on_passed: Callable[[TopicPartition, int], None],
    urgent_topics: Collection[str],
) -> None:
    """Connect; the client joins the group only when it subscribes. `hand_out_records` explains the other arguments."""
    await consumer.start()
    if urgent_topics:
        fetch_apart(consumer, urgent_topics)
    forget_late_commits(consumer)
    hand_out_records(consumer, patience=patience, on_passed=on_passed)

"""The client through which we are a member of the group: its sizes, its patience, and what it lacks. Fetches nothing."""

from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition

from config.membership import Membership
from consumer.edge.kafka.clients import allow_long_joins, client_of, forget_late_commits, hand_out_records
from consumer.edge.kafka.connection import KafkaConnection
from consumer.edge.kafka.record_batches import Patience

FETCH_BYTES = 16 * 1024 * 1024
"""What one broker answers with at most, and so what is held of it unread: below the buffer, whatever it leads."""
PARTITION_FETCH_BYTES = 1024 * 1024
"""What it answers with for one partition: some 2,500 events, so that one partition is no wait for the others.

A `getmany` loop reads as fast with 256 KiB and with 2 MiB (within a machine's noise): memory decides."""
FETCH_WAIT_SECONDS = 0.1
"""How long a broker waits for records. A partition resumed meanwhile is not asked for until it has answered."""
LOOK_AT_TOPICS_SECONDS = 10.0
"""How soon partitions that a topic was given are read: the client's own five minutes would let their events wait."""
FOREVER_MS = 7 * 24 * 60 * 60 * 1000
"""Between two fetches: a member that the client itself throws out may never come back."""

ANSWER_SECONDS = 5.0
"""A leader that is silent for longer is looked for anew: it may be frozen, and another may have taken its place."""


def new_group_client(
    connection: KafkaConnection, group: str, *, membership: Membership, instance_id: str | None
) -> AIOKafkaConsumer:
    """Return a client that commits nothing by itself and looks for no position by itself."""
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
    consumer: AIOKafkaConsumer, *, patience: Patience, on_passed: Callable[[TopicPartition, int], None]
) -> None:
    """Connect; joins nothing before it has subscribed. See `hand_out_records` for the rest."""
    await consumer.start()
    forget_late_commits(consumer)
    hand_out_records(consumer, patience=patience, on_passed=on_passed)
